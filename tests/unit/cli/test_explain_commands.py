"""Who is asked about a request: files, the node, or a master; and what is asked."""

from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import pytest
from scripted_master import installed, left

from headgate.cli import explain as explainer
from headgate.cli.remote import explaining
from headgate.cli.remote.client import Master
from headgate.compile.routing import Question

URL = "https://a.example/"
Command = Callable[..., int]


class Answers:
    """Whoever answers, with what was asked of them; the exit code says who it was."""

    def __init__(self) -> None:
        self.asked: list[tuple[object, ...]] = []

    def node(self, *asked: object, **_: TextIO) -> int:
        self.asked.append(asked)
        return 3

    def files(self, *asked: object, **_: TextIO) -> int:
        self.asked.append(asked)
        return 4

    def master(self, master: Master, *asked: object) -> int:
        self.asked.append((master.workspace, *asked))
        return 5


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    one = Answers()
    monkeypatch.setattr(explainer, "explain_running", one.node)
    monkeypatch.setattr(explainer, "explain", one.files)
    monkeypatch.setattr(explaining, "explain", one.master)
    return one


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    installed(monkeypatch, tmp_path)
    monkeypatch.setenv("HEADGATE_STATE_DIR", str(tmp_path))
    return lambda *arguments: left(monkeypatch, "explain", *arguments)


def test_the_node_is_asked_unless_files_or_an_agent_are_named(
    tmp_path: Path, answers: Answers, run: Command
) -> None:
    asked = Question(URL)
    assert run(URL) == 3
    assert run(URL, "-c", "a.toml", "-o", "json") == 4
    assert run(URL, "--agent", "web-1") == 5
    assert run(URL, "--agent", "web-1", "--resources", "-o", "json") == 5
    assert answers.asked == [
        (asked, tmp_path, "text"),
        (asked, [Path("a.toml")], "json"),
        ("shop", asked, "web-1", "serving", "text"),
        ("shop", asked, "web-1", "resources", "json"),
    ]


def test_every_option_is_a_part_of_the_question(answers: Answers, run: Command) -> None:
    words = ("POST", URL, "-H", "x-a: 1", "--client", "192.0.2.7", "--listener", "web")
    tls = ("--sni", "a.example", "--alpn", "h2", "--alpn", "http/1.1")
    certificate = ("--client-subject", "CN=a", "--client-san", "dns:a.example")
    fingerprint = ("--client-fingerprint", "ab" * 32)
    assert run(*words, *tls, *certificate, *fingerprint) == 3
    assert answers.asked[0][0] == Question(
        URL,
        "POST",
        {"x-a": ["1"]},
        "192.0.2.7",
        "web",
        client_subject="CN=a",
        client_san=["dns:a.example"],
        client_fingerprint="ab" * 32,
        sni="a.example",
        alpn=["h2", "http/1.1"],
    )


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("-H", "x-a"), "is not a header"),
        (("--client-san", "dns:*.example"), "is a pattern"),
        (("--agent", "web-1", "-c", "a.toml"), "--agent needs no files"),
        (("--resources",), "--resources needs --agent"),
        (("--resources", "-c", "a.toml"), "--resources needs --agent"),
    ],
)
def test_what_is_no_question_is_asked_of_nobody(
    words: tuple[str, ...],
    why: str,
    answers: Answers,
    run: Command,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(URL, *words) == 2
    assert why in capsys.readouterr().err
    assert answers.asked == []
