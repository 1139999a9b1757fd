"""Headers that a client repeats, on a real nginx, and what the parity page says of them."""

import json
from pathlib import Path

import pytest
from echo_upstream import EchoUpstream
from nginx_engine import NginxEngine
from wire import Wire

from headgate.engines.nginx.render.parity import PARITY
from headgate.engines.nginx.render.parity_beyond import BEYOND_KEYS
from headgate.features.nginx import JOINED

CONFIG = """
[listeners.web]
address = "127.0.0.1:{port}"
default = true

[routes.r]
middlewares = [
  {{ request_headers = {{ add.x-a = "more", set.x-seen = "${{header:x-a}}" }} }},
]
upstream = "echo"

[upstreams.echo]
endpoints = ["{echo}"]
"""


def test_the_first_line_stays_beside_an_added_one(tmp_path: Path, port: int) -> None:
    """Since 1.23 with all others in it: before, nginx has no variable of them."""
    config = tmp_path / "headgate.toml"
    with EchoUpstream() as echo, Wire(port) as wire:
        config.write_text(CONFIG.format(port=port, echo=echo.address))
        with NginxEngine(config, tmp_path):
            answer = wire.ask(b"GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nX-A: 2\r\n\r\n")
    fields = json.loads(answer.body)["fields"]
    known = [value for name, value in fields if name == "x-seen"]
    assert known in (["1"], ["1, 2"])
    assert [value for name, value in fields if name == "x-a"] == [*known, "more"]


@pytest.mark.parametrize(
    "key",
    ["request_headers.add", "rate_limit.key", "concurrency_limit.key", "forward_auth.headers"],
)
def test_the_parity_page_tells_of_them(key: str) -> None:
    (row,) = (one for one in PARITY if one.key == f"middlewares.NAME.{key}")
    assert (row.nginx, JOINED in row.why) == ("differs", True)


def test_the_parity_page_tells_of_them_in_templates() -> None:
    assert any("${header:NAME}" in one and "1.23" in one for one in BEYOND_KEYS)
