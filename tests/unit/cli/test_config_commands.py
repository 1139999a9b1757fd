"""What `check`, `explain`, `test` and `diff` make of their arguments, and what they leave with."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import pytest
from scripted_master import SHOP, installed, left

from headgate.cli import explain as explainer
from headgate.cli.nginx import rendering
from headgate.cli.remote import comparing
from headgate.cli.remote.client import Master
from headgate.cli.schema import schema
from headgate.compile.loaded import Loaded
from headgate.compile.routing import Question
from headgate.kernel.diagnostics import Diagnostic

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


def test_a_file_beside_the_document_is_no_file_of_the_node_whatever_the_path_to_it(
    config: Path, run: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (config.parent / "secrets").mkdir()
    (config.parent / "secrets" / "text").write_text("x\n")
    text = 'middlewares = [{ response_headers.set = { x = { file = "%s" } } }]\n'
    config.write_text(GOOD + text % "secrets/text")
    (config.parent / "below").mkdir()
    monkeypatch.chdir(config.parent / "below")
    for path in (str(config), "../a.toml"):
        assert run("check", path, "--quarantine") == 0
        assert "quarantined" not in capsys.readouterr().out
    for outside in ("../secrets/text", str(config.parent / "secrets" / "text")):
        config.write_text(GOOD + text % outside)
        assert run("check", str(config), "--quarantine") == 0
        assert "is a file of the node" in capsys.readouterr().out


def test_what_no_node_can_be_sent_is_refused(
    config: Path, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    networks = [f"10.{n // 4096}.{n // 16 % 256}.{n % 16 * 16}/28" for n in range(61_440)]
    huge = f"[middlewares.list]\nip_access = {{ allow = {json.dumps(networks)} }}\n"
    config.write_text(GOOD + 'middlewares = ["list"]\n' + huge)
    assert run("check", str(config)) == 78
    out = capsys.readouterr().out
    assert out.startswith(f"{config}:9:14: middlewares.list: middleware list has ")
    assert "bytes; at most 1048576 can be sent" in out


def test_without_files_the_environment_is_checked(
    run: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PROXY_UPSTREAM_ADDRS", "127.0.0.1:9")
    assert run("check") == 0
    assert capsys.readouterr().out.startswith("ok: ")


def test_the_nginx_of_the_host_is_asked_only_where_it_is_the_engine(
    config: Path,
    run: Command,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[Loaded] = []

    def refused(loaded: Loaded) -> tuple[Diagnostic, ...]:
        asked.append(loaded)
        return (Diagnostic(file="a.toml", line=1, column=1, message="nginx cannot"),)

    monkeypatch.setattr(rendering, "refused", refused)
    assert run("check", str(config)) == 0
    assert run("check", str(config), "--engine", "native") == 0
    assert asked == []
    assert run("check", str(config), "--engine", "nginx") == 78
    assert "a.toml:1:1: nginx cannot\n" in capsys.readouterr().out
    config.write_text(f'[node]\nengine = "nginx"\n{GOOD}')
    assert run("check", str(config)) == 78
    assert run("check", str(config), "--engine", "native") == 0
    assert [one.plan is not None for one in asked] == [True, True]


def test_the_environment_is_checked_for_the_engine_that_is_named(
    run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[bool] = []

    def refused(loaded: Loaded) -> tuple[Diagnostic, ...]:
        assert loaded.plan is not None
        routes = [one for key, one in loaded.plan.objects.items() if key.kind == "route"]
        limits.append(any(b'"request"' in one.canonical for one in routes))
        return ()

    monkeypatch.setattr(rendering, "refused", refused)
    monkeypatch.setenv("PROXY_UPSTREAM_ADDRS", "127.0.0.1:9")
    assert run("check", "--engine", "nginx") == 0
    assert limits == [False], "nginx has no limit for a whole request"


def test_the_schema_is_printed(run: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("schema") == 0
    assert capsys.readouterr().out == schema()


def test_what_is_compared_at_a_master_is_what_the_options_say(
    config: Path, tmp_path: Path, run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[comparing.Asked, str]] = []

    def diff(master: Master, one: comparing.Asked, output: str) -> int:
        assert master.workspace == "shop"
        asked.append((one, output))
        return 4

    installed(monkeypatch, tmp_path / "home")
    monkeypatch.setattr(comparing, "diff", diff)
    assert run("diff", "-f", str(config), "--set", "web") == 4
    assert run("diff", "--fleet", "edge", "--node", "n1", "--revision", "7", "-o", "json") == 4
    assert run("diff", "-f", str(config), "--fleet", "edge") == 4
    assert asked == [
        (comparing.Asked([config], "", "served", "", "web"), "text"),
        (comparing.Asked([], "edge", "7", "n1", ""), "json"),
        (comparing.Asked([config], "edge", "served", "", ""), "text"),
    ]


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
        ("--node", "n1"),
        ("--node", "n1", "-f", "b.toml"),
        ("--node", "n1", "-f", "b.toml", "--fleet", "edge"),
        ("--set", "web"),
        ("--set", "web", "--fleet", "edge"),
        ("--set", "web", "-f", "b.toml", "--fleet", "edge"),
    ],
)
def test_what_is_to_be_compared_must_be_said(
    words: tuple[str, ...], tmp_path: Path, run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    master = installed(monkeypatch, tmp_path)
    assert run("diff", *words) == 2
    assert master.asked == []
