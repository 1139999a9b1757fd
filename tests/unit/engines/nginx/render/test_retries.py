"""`retry` of a route in nginx's words, and what of it nginx cannot do."""

from pathlib import Path, PurePath

import pytest
from memory_files import MemoryFiles
from nginx_engine import NotRenderedError, expressed, target

from headgate.compile.load import load
from headgate.engines.nginx.common.types import Capabilities, Rendered

ACCEPTED = Path(__file__).parents[4] / "golden" / "nginx" / "accepted.txt"
DEBIAN_12 = Capabilities("", "", "", frozenset(ACCEPTED.read_text(encoding="utf-8").split()))


def rendered(retry: str) -> Rendered:
    text = (
        '[listeners.web]\naddress = "127.0.0.1:1"\ndefault = true\n'
        f'[routes.r]\nupstream = "u"\nretry = {{ {retry} }}\n'
        '[upstreams.u]\nendpoints = ["127.0.0.1:1", "127.0.0.1:2"]\n'
    )
    found = load([PurePath("c.toml")], MemoryFiles({"c.toml": text}), {})
    assert found.plan is not None, [str(one) for one in found.errors]
    return expressed(found, target("/state/nginx", DEBIAN_12))


@pytest.mark.parametrize(
    ("retry", "line", "tries"),
    [
        ("", "proxy_next_upstream error;", 3),
        ('on = ["reset", "timeout"]', "proxy_next_upstream error invalid_header timeout;", 3),
        (
            'retries = 1, on = ["gateway-error", 429], methods = "all"',
            "proxy_next_upstream error http_429 http_502 http_503 http_504 non_idempotent;",
            2,
        ),
        ("budget = { percent = 100, per_second = 1000000 }", "proxy_next_upstream error;", 3),
    ],
)
def test_a_policy_is_what_nginx_passes_to_the_next_endpoint(
    retry: str, line: str, tries: int
) -> None:
    made = rendered(retry)
    text = b"".join(file.content for file in made.files).decode()
    assert f"{line}\n" in text
    assert f"proxy_next_upstream_tries {tries};" in text
    (note,) = [one for one in made.notes if one.startswith("route r: retry: ")]
    assert "has no budget of retries" in note


@pytest.mark.parametrize(
    ("retry", "path"),
    [
        ('on = ["5xx"]', "retry.on"),
        ("on = [501]", "retry.on"),
        ('on = "grpc-unavailable"', "retry.on"),
        ('methods = ["GET"]', "retry.methods"),
        ('backoff = { max = "1s" }', "retry.backoff"),
        ("budget = { percent = 50 }", "retry.budget"),
        ("budget = { per_second = 999999 }", "retry.budget"),
        ("hedge = {}", "retry.hedge"),
    ],
)
def test_what_nginx_cannot_do_is_refused_at_its_place(retry: str, path: str) -> None:
    with pytest.raises(NotRenderedError) as caught:
        rendered(retry)
    assert [(one.kind, one.name, one.path) for one in caught.value.found] == [("route", "r", path)]
