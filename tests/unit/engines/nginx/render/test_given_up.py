"""Expressions on which PCRE gives up, on a real nginx: what they close stays closed."""

import http.client
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from echo_upstream import EchoUpstream
from nginx_engine import NginxEngine, capabilities, expressed, loaded_file, target
from ports import free_ports
from waiting import DEADLINE_S

STACK = "(?:a|b|/)*x"
"""Takes stack for each character: PCRE's own is 32 KiB."""
STEPS = "(a+)+b"
"""Takes twice as many steps for each further character."""
LONG = "ab" * 2000
"""Too long for the stack, and short enough for a head."""
RUN = "a" * 40


class Case(NamedTuple):
    """A condition, and three requests (path, headers): one that it takes, one that it does not
    take, and those on which nginx gives up."""

    match: str
    fits: tuple[str, dict[str, str]]
    other: tuple[str, dict[str, str]]
    given_up: list[tuple[str, dict[str, str]]]


CASES = {
    "path": Case(
        f"path.regex = '/{STACK}'",
        ("/ab/x", {}),
        ("/ab/y", {}),
        [(f"/{LONG}x", {}), (f"/{LONG}xy", {})],
    ),
    "path-steps": Case(f"path.regex = '/{STEPS}'", ("/aab", {}), ("/c", {}), [(f"/{RUN}cb", {})]),
    "header": Case(
        f"headers.h = {{ regex = '{STACK}' }}",
        ("/", {"H": "abx"}),
        ("/", {"H": "aby"}),
        [("/", {"H": LONG + "x"})],
    ),
    "cookie": Case(
        f"cookies.c = {{ regex = '{STACK}' }}",
        ("/", {"Cookie": "d=1; c=abx"}),
        ("/", {"Cookie": "c=aby"}),
        [("/", {"Cookie": f"c={LONG}x"})],
    ),
    "query": Case(
        f"query.q = {{ regex = '{STACK}' }}",
        ("/?q=abx", {}),
        ("/?q=aby", {}),
        [(f"/?q={LONG}x", {})],
    ),
    "two": Case(
        f"path.regex = '/{STACK}', headers.h = {{ regex = '{STACK}' }}",
        ("/x", {"H": "x"}),
        ("/x", {"H": "y"}),
        [(f"/{LONG}x", {"H": "x"}), ("/x", {"H": LONG + "x"}), (f"/{LONG}x", {"H": LONG + "x"})],
    ),
}

CONFIG = """
[listeners.{name}]
address = "127.0.0.1:{port}"

[routes.{name}]
listeners = "{name}"
match = [{{ {match} }}]
priority = 1
respond = {{ status = 403, body = "closed" }}

[routes.{name}-rest]
listeners = "{name}"
respond = {{ body = "open" }}
"""

REWRITTEN = """
[listeners.rewritten]
address = "127.0.0.1:{port}"

[routes.rewritten]
listeners = "rewritten"
middlewares = [{{ rewrite = {{ regex = '/{stack}', with = "/inside" }} }}]
upstream = "echo"

[upstreams]
echo = {{ endpoints = ["{echo}"] }}
"""


@pytest.fixture(scope="module")
def ports() -> Iterator[dict[str, int]]:
    """The port of each case on one nginx."""
    found = dict(zip([*CASES, "rewritten"], free_ports(len(CASES) + 1), strict=True))
    text = "".join(
        CONFIG.format(name=name, port=found[name], match=one.match) for name, one in CASES.items()
    )
    with EchoUpstream() as echo, tempfile.TemporaryDirectory(prefix="hg-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        config = folder / "headgate.toml"
        port = found["rewritten"]
        config.write_text(text + REWRITTEN.format(port=port, stack=STACK, echo=echo.address))
        with NginxEngine(config, folder) as engine:
            yield found
            assert re.search(r"pcre(2_match|_exec)\(\) failed", engine.error_log())


def answer(port: int, path: str, headers: dict[str, str]) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    try:
        connection.request("GET", path, headers=headers)
        found = connection.getresponse()
        return found.status, found.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize("name", CASES)
def test_what_an_expression_closes_opens_for_nobody(ports: dict[str, int], name: str) -> None:
    case, port = CASES[name], ports[name]
    assert answer(port, *case.fits) == (403, "closed")
    assert answer(port, *case.other) == (200, "open")
    for request in case.given_up:
        assert answer(port, *request) == (500, "500 Internal Server Error\n")


def test_a_condition_that_does_not_hold_decides_whatever_the_others_are(
    ports: dict[str, int],
) -> None:
    assert answer(ports["two"], f"/{LONG}x", {"H": "y"}) == (200, "open")
    assert answer(ports["two"], f"/{LONG}x", {}) == (200, "open")
    assert answer(ports["two"], "/y", {"H": LONG + "x"}) == (200, "open")


def test_a_path_that_cannot_be_rewritten_is_refused(ports: dict[str, int]) -> None:
    port = ports["rewritten"]
    assert '"GET /inside HTTP/1.1"' in answer(port, "/abx", {})[1]
    assert '"GET /aby HTTP/1.1"' in answer(port, "/aby", {})[1]
    refused = (400, "400 Bad Request\nthe rewritten path is not valid\n")
    assert answer(port, f"/{LONG}x", {}) == refused


def test_an_expression_that_repeats_a_repetition_is_told_of(tmp_path: Path) -> None:
    file = tmp_path / "headgate.toml"
    match = f"path.regex = '/{STEPS}', headers.h = {{ regex = '{STACK}' }}"
    file.write_text(CONFIG.format(name="a", port=1, match=match))
    (note,) = expressed(loaded_file(file), target(str(tmp_path), capabilities())).notes
    assert note.startswith("route a: match[0].path.regex: a repetition is repeated: nginx tries")
