"""What `check`, `explain`, `test` and `diff` make of their arguments, and what they leave with."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import pytest
from scripted_master import SHOP, installed, left

from headgate.cli import explain as explainer
from headgate.compile.routing import Question

GOOD = """
[listeners.web]
address = "127.0.0.1:8000"
default = true
[routes.all]
hosts = ["a.example"]
respond = { status = 204 }
"""
BROKEN = GOOD + '[routes.bad]\nhosts = ["b.example"]\nupstream = "none"\n'
Command = Callable[..., int]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Command:
    for name in ("PROXY_LISTEN_ADDR", "PROXY_UPSTREAM_ADDRS", "HEADGATE_STATE_DIR"):
        monkeypatch.delenv(name, raising=False)
    return lambda *arguments: left(monkeypatch, *arguments)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "a.toml"
    file.write_text(GOOD)
    return file


def test_an_object_with_an_error_is_quarantined_alone_only_if_asked(
    config: Path, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(BROKEN)
    assert run("check", str(config)) == 78
    assert "refused: 1 error" in capsys.readouterr().out
    assert run("check", str(config), "--quarantine") == 0
    assert "1 quarantined" in capsys.readouterr().out
    assert run("check", "--quarantine") == 2
    assert "name the files" in capsys.readouterr().err


def test_without_files_the_environment_is_checked(
    run: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PROXY_UPSTREAM_ADDRS", "127.0.0.1:9")
    assert run("check") == 0
    assert capsys.readouterr().out.startswith("ok: ")


def test_a_config_that_cannot_be_read_has_no_engine_to_ask(
    config: Path, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text("[node]\nengine = 5\n")
    assert run("check", str(config), "-o", "json") == 78
    (found,) = json.loads(capsys.readouterr().out)
    assert found["path"] == "node.engine"


def test_a_request_is_explained_from_files_or_by_the_node(
    config: Path,
    tmp_path: Path,
    run: Command,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[tuple[Question, Path, str]] = []

    def running(question: Question, state_dir: Path, output: str, **_: TextIO) -> int:
        asked.append((question, state_dir, output))
        return 3

    monkeypatch.setattr(explainer, "explain_running", running)
    words = ("explain", "POST", "http://a.example/", "-H", "x-a: 1", "--client", "192.0.2.7")
    assert run(*words, "-c", str(config)) == 0
    assert "204" in capsys.readouterr().out
    assert asked == []
    assert run(*words, "--listener", "web", "--state-dir", str(tmp_path), "-o", "json") == 3
    question = Question("http://a.example/", "POST", {"x-a": ["1"]}, "192.0.2.7", "web")
    assert asked == [(question, tmp_path, "json")]
    assert run("explain", "http://a.example/", "-H", "x-a") == 2
    assert 'write "name: value"' in capsys.readouterr().err


def test_cases_are_tried_against_the_config_that_is_given(
    config: Path, tmp_path: Path, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = tmp_path / "cases.toml"
    case = '[[cases]]\nrequest = "http://a.example/"\nexpect = { status = %d }\n'
    cases.write_text(case % 204)
    assert run("test", str(cases), "-c", str(config)) == 0
    assert capsys.readouterr().out == "1 of 1 as expected\n"
    cases.write_text(case % 200)
    assert run("test", str(cases), "-c", str(config)) == 1
    assert run("test", str(cases)) == 2


def test_two_configs_are_compared_or_one_with_a_master(
    config: Path,
    tmp_path: Path,
    run: Command,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    master = installed(monkeypatch, tmp_path / "home")
    kinds = ("resources", "templates", "virtual-hosts")
    master.answers = {f"GET {SHOP}/{one}": {"items": []} for one in kinds}
    (tmp_path / "b.toml").write_text(GOOD.replace("204", "205"))
    (tmp_path / "log").write_text("")
    both = ("diff", str(config), str(tmp_path / "b.toml"))
    assert run(*both) == 0
    assert capsys.readouterr().out.startswith("~ route all: ")
    assert run(*both, "--requests", str(tmp_path / "log"), "-o", "json") == 0
    assert json.loads(capsys.readouterr().out)["requests"]["logged"] == 0
    assert master.asked == []
    assert run("diff", "-f", str(config)) == 0
    assert capsys.readouterr().out == "+ listeners/web\n+ routes/all\n"
    assert run("diff", "--fleet", "edge") == 1


@pytest.mark.parametrize(
    "words",
    [
        ("a.toml",),
        (),
        ("a.toml", "-f", "b.toml"),
        ("--requests", "log", "-f", "b.toml"),
        ("--requests", "log", "--fleet", "edge"),
    ],
)
def test_what_is_to_be_compared_must_be_said(words: tuple[str, ...], run: Command) -> None:
    assert run("diff", *words) == 2
