"""`headgate explain` tells the Host of a request where a middleware changes it."""

import io
from pathlib import Path

import pytest

from headgate.cli.explain import explain
from headgate.compile.routing import Question

CONFIG = """
[listeners.web]
address = "127.0.0.1:8000"
default = true

[routes.kept]
hosts = ["a.example"]
upstream = "kept"

[routes.named]
hosts = ["b.example"]
middlewares = [{ rewrite = { host = "shop.internal" } }]
upstream = "kept"

[upstreams.kept]
endpoints = ["127.0.0.1:9000"]
"""


@pytest.mark.parametrize(
    ("host", "sent"), [("a.example", ""), ("b.example", ", Host shop.internal")]
)
def test_a_changed_host_is_told(tmp_path: Path, host: str, sent: str) -> None:
    (tmp_path / "main.toml").write_text(CONFIG)
    told = io.StringIO()
    assert explain(Question(f"http://{host}:8000/x"), [tmp_path], "text", env={}, stream=told) == 0
    [line] = [one for one in told.getvalue().splitlines() if one.startswith("forwarded")]
    assert line == f"forwarded as /x{sent}"
