"""The command line: what it understands, and with which code it leaves."""

import json
import re
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from headgate.cli import main as entry
from headgate.cli import run as runner
from headgate.cli.manage import reload_text, status_text
from headgate.cli.program import program
from headgate.cli.run import RunRequest, supervisor_command
from headgate.compile.settings import NodeSettings
from headgate.engines.status import EngineStatus
from headgate.engines.types import EndpointStatus, UpstreamStatus
from headgate.kernel.diagnostics import Diagnostic
from headgate.node.about import ConfigStatus, NodeStatus, ProcessStatus
from headgate.node.link import About
from headgate.node.options import Options
from headgate.node.results import Outcome, ReloadResult

CONFIG = """
[listeners.web]
address = "127.0.0.1:8000"
protocol = "http"
default = true
[routes.all]
hosts = ["*"]
respond = { status = 204 }
"""


def leave(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    """Runs the whole command line; its exit code."""
    monkeypatch.setattr(sys, "argv", ["headgate", *arguments])
    with pytest.raises(SystemExit) as left:
        entry.main()
    return int(left.value.code or 0)


@pytest.mark.parametrize("verb", ["reload", "drain", "upgrade", "status", "events", "tap", "top"])
def test_without_a_node_a_verb_fails_and_says_so(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert leave([verb, "--state-dir", str(tmp_path)], monkeypatch) == 1
    assert f"no node runs at {tmp_path}" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--version"], ["version"]])
def test_the_version_is_shown_either_way(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert leave(arguments, monkeypatch) == 0
    assert re.fullmatch(r"headgate \d+\.\d+\.\d+\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    "arguments",
    [["run"], ["dance"], ["status", "--node", "../x"], ["run", "a.toml", "--workers", "0"], []],
)
def test_what_cannot_be_understood_is_a_usage_error(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PROXY_LISTEN_ADDR", "PROXY_UPSTREAM_ADDRS"):
        monkeypatch.delenv(name, raising=False)
    assert leave(arguments, monkeypatch) == 2


def test_a_bad_config_is_78_before_anything_is_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "a.toml"
    config.write_text(CONFIG.replace("hosts", "hots"))
    state = tmp_path / "state"
    assert leave(["run", str(config), "--state-dir", str(state)], monkeypatch) == 78
    assert f"{config}:" in capsys.readouterr().err
    assert not state.exists()
    assert leave(["check", str(config)], monkeypatch) == 78


def test_a_good_config_becomes_the_supervisor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "a.toml"
    config.write_text(CONFIG)
    became: list[list[str]] = []
    monkeypatch.setattr(runner, "become", became.append)
    arguments = ["run", str(config), "--state-dir", str(tmp_path), "--workers", "3"]
    assert leave([*arguments, "--admin", "off"], monkeypatch) == 0
    (command,) = became
    assert command[1:4] == ["-I", "-S", "-c"]
    supervisor = json.loads(command[-1])
    assert supervisor["workers"] == 3
    options = Options.decode(supervisor["control"][-1])
    assert options == Options(str(tmp_path), [str(config)], admin=[], workers=3)


def test_the_config_says_what_the_command_line_does_not(tmp_path: Path) -> None:
    settings = NodeSettings((), (), state_dir=None, workers=5, log_level="warn")
    request = RunRequest([tmp_path / "a.toml"], None, None, None, [], None, watch=True)
    supervisor = json.loads(supervisor_command(request, settings, tmp_path)[-1])
    assert supervisor["workers"] == 5
    assert supervisor["log_level"] == "warn"
    assert Options.decode(supervisor["control"][-1]).workers is None


def test_every_command_has_help_with_an_example() -> None:
    app = program()
    for command in app.registered_commands:
        assert command.callback is not None
        name = command.name or command.callback.__name__.replace("_", "-")
        shown = CliRunner().invoke(app, [name, "--help"])
        assert shown.exit_code == 0
        assert "Example" in shown.output, name


def test_an_argument_that_may_be_absent_has_one_pair_of_brackets() -> None:
    page = (Path(__file__).parents[3] / "docs/reference/cli.md").read_text()
    assert "headgate run [OPTIONS] [CONFIG]...\n" in page
    assert "[[" not in page


def test_a_refused_reload_says_what_is_still_served() -> None:
    result = ReloadResult(outcome=Outcome.REFUSED, digest="ab" * 32)
    assert reload_text(result) == "refused; still serving abababababab\n"
    assert reload_text(ReloadResult(outcome=Outcome.REFUSED)) == "refused; still serving nothing\n"


def test_a_reload_that_waited_for_its_turn_says_how_long() -> None:
    result = ReloadResult(outcome=Outcome.APPLIED, apply_ms=1500.0, waited_ms=1100.0)
    shown = reload_text(result)
    assert shown.endswith("served after 1500 ms, of which it waited 1100 ms for its turn\n")


def test_status_tells_of_every_endpoint_and_of_what_was_refused() -> None:
    endpoint = EndpointStatus("127.0.0.1:9", [], "unresolved", 0, 0, 7, 2, "no such name")
    found = ["10.0.0.1:80", "10.0.0.2:80"]
    named = EndpointStatus(
        "pool.test:80", found, "up", 0, 0, 9, 0, "", why="…", negotiated="h2", agent_percent=50
    )
    down = EndpointStatus("127.0.0.1:7", [], "down", 0, 0, 1, 0, "", False, "takes no traffic: …")
    upstreams = [UpstreamStatus("app", [endpoint, named, down], panic=True, protocol="h2c")]
    wrong = Diagnostic(file="a.toml", line=1, column=1, message="no")
    refused = ReloadResult(outcome=Outcome.REFUSED, reason="request", diagnostics=(wrong,))
    node = NodeStatus(
        ready=False,
        reason="draining",
        control=ProcessStatus("1", 1, 1.0),
        config=ConfigStatus(["a.toml"], "ab" * 32, 3, 1.0, refused),
        supervisor=About(None, ["127.0.0.1:80"], 2, {"dataplane": 1}, "running", True),
        engine=EngineStatus(kind="native", state="draining", upstreams=upstreams),
    )
    text = status_text(node)
    assert text.startswith("not ready: draining\n")
    assert "a.toml:1:1: no" in text
    assert "data plane restarted 1 times" in text
    assert "127.0.0.1:9  unresolved  7 requests, 2 failures  no such name" in text
    assert "127.0.0.1:7  down  1 requests, 0 failures\n              takes no traffic: …" in text
    assert "upstream    app (h2c)  panic: too few endpoints are usable" in text
    assert (
        "pool.test:80 (10.0.0.1:80, 10.0.0.2:80)  up  9 requests, 0 failures, agreed on h2\n   "
        in text
    )


@pytest.mark.parametrize("address", ["0.0.0.0:9090", "[::]:9090", "localhost:9090", "9090"])
def test_an_admin_address_that_others_reach_is_a_usage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    config = tmp_path / "a.toml"
    config.write_text("")
    assert leave(["run", str(config), "--admin", address], monkeypatch) == 2
