"""`headgate tap`: what it asks the node, what it prints, and how it ends."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner

from headgate.cli import calls
from headgate.cli import tap as module
from headgate.cli.program import program
from headgate.cli.tap import Shown, TapError, text

LINE = (
    b'{"time":"2026-11-20T08:59:02.123456Z","request_id":"a","client_ip":"192.0.2.7",'
    b'"listener":"web","method":"GET","scheme":"http","host":"a.example","target":"/","status":404,'
    b'"bytes_in":0,"total_us":1500000,"reason":"no-route"}\n'
)
TEXT = "08:59:02.123 192.0.2.7 GET http://a.example/ 404 1.50s - (no-route)\n"


class Node:
    """A node whose tap has these lines."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.refusal = ""
        self.asked: Mapping[str, str] = {}

    def answer(self, _state_dir: Path, query: Mapping[str, str]) -> Iterator[bytes]:
        self.asked = query
        if self.refusal:
            raise TapError(self.refusal)
        yield from self.lines


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Node:
    one = Node()
    monkeypatch.setattr(module, "lines", one.answer)
    return one


def test_only_what_was_given_is_asked_for(node: Node) -> None:
    CliRunner().invoke(program(), ["tap"])
    assert node.asked == {}
    options = "--host a --path /v1 --method GET --status 5xx --client ::1 --listener web --route r"
    CliRunner().invoke(program(), ["tap", *options.split(), "--upstream", "u", "--slower", "1s"])
    keys = ("host", "path", "method", "status", "client", "listener", "route", "upstream", "slower")
    assert tuple(node.asked) == keys
    CliRunner().invoke(program(), ["tap", "--headers"])
    assert node.asked == {"headers": "true"}


def test_it_ends_after_as_many_requests_as_were_wanted(node: Node) -> None:
    node.lines = [LINE, b'{"dropped":3}\n', LINE, LINE]
    done = CliRunner().invoke(program(), ["tap", "--count", "2"])
    assert (done.exit_code, done.stdout) == (0, TEXT * 2)
    assert done.stderr == "headgate: 3 requests were not shown\n"
    done = CliRunner().invoke(program(), ["tap", "-n", "1", "--output", "json"])
    assert (done.exit_code, done.stdout) == (0, LINE.decode())


def test_a_tap_that_the_node_ends_fails(node: Node) -> None:
    node.lines = [LINE]
    done = CliRunner().invoke(program(), ["tap"])
    assert (done.exit_code, done.stdout) == (1, TEXT)
    assert "the node ended the tap" in done.stderr


def test_a_refusal_is_what_the_node_says(node: Node) -> None:
    node.refusal = "at most 8 taps are open at once"
    done = CliRunner().invoke(program(), ["tap"])
    assert (done.exit_code, done.stderr) == (1, "headgate: at most 8 taps are open at once\n")


def test_no_control_character_of_a_client_reaches_a_terminal() -> None:
    shown = text(Shown(method="GET", target="/\x1b[2J", headers=[("x-a", "\x07é")]))
    assert "/?[2J" in shown
    assert shown.splitlines()[1] == "    x-a: ?é"


class Refusing:
    """A connection to a node that refuses, with a body of its own."""

    sock = None
    status = 400

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.is_closed = False

    def request(self, _method: str, _path: str) -> None:
        pass

    def getresponse(self) -> "Refusing":
        return self

    def read(self) -> bytes:
        return self.body

    def __iter__(self) -> Iterator[bytes]:
        return iter((LINE,))

    def close(self) -> None:
        self.is_closed = True


@pytest.mark.parametrize(
    ("body", "said"), [(b'{"error":"no such route"}', "no such route"), (b"away\n", "away")]
)
def test_what_a_node_refuses_with_is_no_line(
    body: bytes, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Refusing(body)
    monkeypatch.setattr(calls, "connection", lambda _: one)
    with pytest.raises(TapError, match=f"^{said}$"):
        list(module.lines(Path("/none"), {}))
    assert one.is_closed
