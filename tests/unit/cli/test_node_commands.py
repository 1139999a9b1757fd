"""What the commands of a node make of its answers: lines, exit codes, and what `run` becomes."""

import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from scripted_master import left

from headgate.cli import calls, manage, rights, several, top
from headgate.cli import events as event_stream
from headgate.cli import run as runner
from headgate.cli.several import AgentReload, AgentStatus, InstanceStatus
from headgate.engines.status import EngineStatus
from headgate.kernel.diagnostics import Diagnostic
from headgate.node.about import ConfigStatus, NodeStatus
from headgate.node.events import Event
from headgate.node.options import Options
from headgate.node.results import Outcome, ReloadResult

CONFIG = """
[node]
state_dir = "/srv/of-config"
[listeners.web]
address = "127.0.0.1:8000"
default = true
[routes.all]
hosts = ["*"]
respond = { status = 204 }
"""
Command = Callable[..., int]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.delenv("PROXY_LISTEN_ADDR", raising=False)
    monkeypatch.delenv("PROXY_UPSTREAM_ADDRS", raising=False)
    monkeypatch.setenv("HEADGATE_STATE_DIR", str(tmp_path))
    return lambda *arguments: left(monkeypatch, *arguments)


@pytest.fixture
def config(tmp_path: Path) -> str:
    (tmp_path / "a.toml").write_text(CONFIG)
    return str(tmp_path / "a.toml")


@pytest.fixture
def became(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that took the place of this process."""
    commands: list[list[str]] = []
    monkeypatch.setattr(runner, "become", commands.append)
    return commands


def options(command: list[str]) -> Options:
    return Options.decode(json.loads(command[-1])["control"][-1])


def test_a_node_is_what_its_options_say(
    tmp_path: Path, config: str, became: list[list[str]], run: Command
) -> None:
    more = ("--admin", "127.0.0.1:9", "--admin", "off", "--metrics", "127.0.0.1:8", "--no-watch")
    assert run("run", config, *more, "--admin-host", "x", "--engine", "nginx") == 0
    one = options(became[0])
    assert (one.state_dir, one.configs) == (str(tmp_path), [config])
    assert (one.admin, one.metrics, one.admin_hosts) == (["127.0.0.1:9"], ["127.0.0.1:8"], ["x"])
    assert (one.watch, one.engine, one.engine_is_forced) == (False, "nginx", True)


def test_a_node_is_what_its_config_says_where_no_option_does(
    config: str, became: list[list[str]], run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HEADGATE_STATE_DIR")
    assert run("run", config) == 0
    one = options(became[0])
    assert (one.state_dir, one.admin, one.metrics) == ("/srv/of-config", None, None)
    assert (one.admin_hosts, one.watch, one.engine_is_forced) == ([], True, False)


def test_a_node_needs_a_config_in_a_file_or_in_the_environment(
    became: list[list[str]],
    run: Command,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("run") == 2
    assert "give a config file" in capsys.readouterr().err
    monkeypatch.setenv("PROXY_UPSTREAM_ADDRS", "127.0.0.1:9")
    assert run("run") == 0
    assert [options(one).configs for one in became] == [[]]


@pytest.mark.parametrize(
    ("admin", "why"), [("9090", "9090"), ("0.0.0.0:9090", "can be reached from other hosts")]
)
def test_an_admin_address_that_is_none_or_that_others_reach_starts_nothing(
    admin: str,
    why: str,
    config: str,
    became: list[list[str]],
    run: Command,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("run", config, "--admin", admin) == 2
    said = capsys.readouterr().err
    assert "--admin" in said
    assert why in said
    assert became == []


def test_a_config_with_errors_starts_nothing(
    tmp_path: Path, became: list[list[str]], run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.toml").write_text(CONFIG.replace("hosts", "hots"))
    assert run("run", str(tmp_path / "a.toml")) == 78
    assert "hots" in capsys.readouterr().err
    assert became == []


def test_a_user_who_cannot_serve_is_a_bad_config(
    config: str,
    run: Command,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse(_: list[str]) -> None:
        raise rights.RightsError("no such user")

    monkeypatch.setattr(runner, "become", refuse)
    assert run("run", config) == 78
    assert capsys.readouterr().err == "headgate: no such user\n"


WRONG = Diagnostic(file="a.toml", line=1, column=1, message="no")


@pytest.mark.parametrize(
    ("result", "code", "said"),
    [
        (ReloadResult(outcome=Outcome.APPLIED), 0, ""),
        (ReloadResult(outcome=Outcome.UNCHANGED), 0, ""),
        (ReloadResult(outcome=Outcome.REFUSED, diagnostics=(WRONG,)), 78, "a.toml:1:1: no\n"),
        (ReloadResult(outcome=Outcome.FAILED), 1, ""),
        (ReloadResult(outcome=Outcome.FAILED, error="it hung"), 1, "headgate: it hung\n"),
    ],
)
def test_the_exit_code_of_a_reload_says_how_it_ended(
    result: ReloadResult,
    code: int,
    said: str,
    run: Command,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(manage, "reload", lambda _: result)
    assert run("reload") == code
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == (manage.reload_text(result), said)
    assert run("reload", "-o", "json") == code
    shown = capsys.readouterr()
    assert json.loads(shown.out)["outcome"] == result.outcome
    assert (shown.err == "") is not bool(result.error)


def test_orders_are_passed_on_and_refusals_said(
    tmp_path: Path,
    run: Command,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given: list[tuple[object, ...]] = []
    answers: Iterator[str | None] = iter((None, None, "draining", None, "gone", None, "late"))

    def order(*words: object, **more: object) -> str | None:
        given.append((*words, *more.values()))
        return next(answers)

    for name in ("drain", "order", "upgrade"):
        monkeypatch.setattr(manage, name, order)
    assert [run("drain"), run("drain", "--no-wait"), run("drain")] == [0, 0, 1]
    endpoint = ("endpoint", "app", "10.0.0.1:80", "maintenance")
    assert [run(*endpoint), run(*endpoint), run("upgrade"), run("upgrade")] == [0, 1, 0, 1]
    assert given[:2] == [(tmp_path, True), (tmp_path, False)]
    assert given[3] == (tmp_path, "app", "10.0.0.1:80", "maintenance")
    shown = capsys.readouterr()
    assert shown.out == "app 10.0.0.1:80: maintenance\nupgraded\n"
    assert shown.err == "headgate: draining\nheadgate: gone\nheadgate: late\n"


@pytest.mark.parametrize("ready", [True, False])
def test_a_status_that_is_not_ready_is_a_failure(
    ready: bool,
    run: Command,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = ConfigStatus([], "ab", 0, 0.0, None)
    engine = EngineStatus(kind="native", state="serving")
    monkeypatch.setattr(
        manage, "status", lambda _: NodeStatus(ready, "draining", None, config, None, engine)
    )
    assert run("status") == (0 if ready else 1)
    assert capsys.readouterr().out.startswith("ready\n" if ready else "not ready: draining\n")
    assert run("status", "-o", "json") == (0 if ready else 1)
    assert json.loads(capsys.readouterr().out)["ready"] is ready


def test_an_agent_with_several_instances_is_asked_as_a_whole(
    tmp_path: Path,
    run: Command,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    failed = ReloadResult(outcome=Outcome.FAILED, error="it hung")
    reloads = iter([AgentReload(started=["a"])] + [AgentReload(results={"a": failed})] * 2)
    states = iter((True, False, False))
    monkeypatch.setattr(several, "place", lambda *_: tmp_path)
    monkeypatch.setattr(several, "reload", lambda _: next(reloads))
    monkeypatch.setattr(
        several, "status", lambda _: AgentStatus(next(states), {"a": InstanceStatus("ended")})
    )
    assert [run("reload"), run("reload")] == [0, 1]
    said = capsys.readouterr()
    assert said.out == "a: started\na: failed; still serving nothing\n"
    assert said.err == "headgate: a: it hung\n"
    assert run("reload", "-o", "json") == 1
    said = capsys.readouterr()
    assert (list(json.loads(said.out)["results"]), said.err) == (["a"], "")
    assert [run("status"), run("status")] == [0, 1]
    assert capsys.readouterr().out == "a  ended\n" * 2
    assert run("status", "-o", "json") == 1
    assert json.loads(capsys.readouterr().out)["ready"] is False


def test_an_event_reaches_a_pipe_before_the_next_one_comes(
    run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe, event = io.BytesIO(), Event(seq=8, unix_ms=0, level="info", kind="config", message="yes")
    reached: list[int] = []

    def events(*_: object, follow: bool) -> Iterator[Event]:
        for one in (event, event):
            yield one
            reached.append(pipe.getvalue().count(b"\n"))

    monkeypatch.setattr(event_stream, "events", events)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(pipe))
    assert run("events", "--follow") == 0
    assert reached == [1, 2]


def test_events_are_shown_as_they_come_until_they_are_interrupted(
    tmp_path: Path,
    run: Command,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[tuple[Path, int, bool]] = []

    def events(state: Path, after: int, *, follow: bool) -> Iterator[Event]:
        asked.append((state, after, follow))
        yield Event(seq=8, unix_ms=1_700_000_000_042, level="info", kind="config", message="yes")
        raise KeyboardInterrupt

    monkeypatch.setattr(event_stream, "events", events)
    assert run("events") == 0
    assert capsys.readouterr().out == "2023-11-14 22:13:20.042Z info  config: yes\n"
    assert run("events", "--after", "7", "-f", "-o", "json") == 0
    assert json.loads(capsys.readouterr().out)["seq"] == 8
    assert asked == [(tmp_path, 0, False), (tmp_path, 7, True)]


def test_a_top_looks_as_often_as_it_is_told(
    tmp_path: Path, run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[Path, float]] = []
    monkeypatch.setattr(top, "watch", lambda *words: given.append(words))
    assert run("top") == 0
    assert run("top", "--interval", "0.5") == 0
    assert given == [(tmp_path, 1.0), (tmp_path, 0.5)]


def test_without_a_node_every_answer_is_a_failure(
    run: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def away(*_: object, **__: object) -> SimpleNamespace:
        raise calls.NoNodeError("away")

    monkeypatch.setattr(manage, "status", away)
    assert run("status") == 1
    assert capsys.readouterr().err == "headgate: away\n"
