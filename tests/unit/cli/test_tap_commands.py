"""`headgate tap` as a command: what it asks the node, what it prints, and how it ends."""

import io
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from scripted_master import left
from typer.testing import CliRunner

from headgate.cli import tap as module
from headgate.cli.program import program
from headgate.cli.tap import TapError

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


def test_an_interrupt_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> Iterator[bytes]:
        yield LINE
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "lines", interrupted)
    done = CliRunner().invoke(program(), ["tap"])
    assert (done.exit_code, done.stdout, done.stderr) == (0, TEXT, "")


def test_a_request_reaches_a_pipe_before_the_next_one_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pipe = io.BytesIO()
    reached: list[int] = []

    def ended(*_: object) -> Iterator[bytes]:
        for _each in range(2):
            yield LINE
            reached.append(pipe.getvalue().count(b"\n"))

    monkeypatch.setattr(module, "lines", ended)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(pipe))
    assert left(monkeypatch, "tap") == 1
    assert reached == [1, 2]
