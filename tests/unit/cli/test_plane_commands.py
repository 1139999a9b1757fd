"""What `headgate dataplane` and `headgate control` become, and which mistakes they refuse."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from scripted_master import left
from tls_authority import Authority

from headgate.cli import planes, rights
from headgate.node.gate.options import GateOptions
from headgate.node.options import Options
from headgate.node.remote.target import Fleet

CONFIG = """
[node]
state_dir = "/srv/of-config"
user = "proxy"
[listeners.web]
address = "127.0.0.1:8000"
default = true
[routes.all]
hosts = ["*"]
respond = { status = 204 }
"""
Command = Callable[..., int]
TOKEN = "secret-secret"  # noqa: S105 - of tests


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    authority = Authority(tmp_path)
    pair = authority.issue("end", "edge.test")
    return [
        "--cert",
        str(pair.cert_file),
        "--key",
        str(pair.key_file),
        "--ca",
        str(authority.ca_file),
    ]


@pytest.fixture
def became(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that took the place of this process."""
    commands: list[list[str]] = []
    monkeypatch.setattr(planes, "become", commands.append)
    monkeypatch.setattr(planes, "replace_by", commands.append)
    return commands


@pytest.fixture
def gave_up(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str | None, rights.Places]]:
    """Whose rights were to be kept, in place of giving up those of this process."""
    given: list[tuple[str | None, rights.Places]] = []
    monkeypatch.setattr(rights, "give_up", lambda user, places: given.append((user, places)))
    return given


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Command:
    for name in ("PROXY_LISTEN_ADDR", "PROXY_UPSTREAM_ADDRS", "HEADGATE_STATE_DIR"):
        monkeypatch.delenv(name, raising=False)
    return lambda *arguments: left(monkeypatch, *arguments)


@pytest.fixture
def config(tmp_path: Path) -> str:
    (tmp_path / "a.toml").write_text(CONFIG)
    return str(tmp_path / "a.toml")


def test_a_data_plane_becomes_a_supervisor_with_a_gate(
    tmp_path: Path, files: list[str], became: list[list[str]], run: Command
) -> None:
    more = ("--control-name", "c.test", "--workers", "3", "--metrics", "127.0.0.1:9100")
    place = ("--user", "proxy", "--admin-host", "edge", "--state-dir", str(tmp_path / "s"))
    assert run("dataplane", *files, *more, *place, "--log-level", "warn") == 0
    (command,) = became
    supervisor = json.loads(command[-1])
    assert (supervisor["workers"], supervisor["user"]) == (3, "proxy")
    assert (supervisor["fallback_s"], supervisor["has_data_plane"]) == (0.0, True)
    gate = GateOptions.decode(supervisor["control"][-1])
    assert gate == GateOptions(
        state_dir=str(tmp_path / "s"),
        listen="127.0.0.1:9443",
        files=gate.files,
        control_names=["c.test"],
        metrics=["127.0.0.1:9100"],
        admin_hosts=["edge"],
        log_level="warn",
        user="proxy",
    )
    assert gate.files is not None and gate.files.cert == files[1]


def test_a_data_plane_has_defaults_for_what_is_not_given(
    tmp_path: Path, files: list[str], became: list[list[str]], run: Command
) -> None:
    assert run("dataplane", *files, "--state-dir", str(tmp_path)) == 0
    gate = GateOptions.decode(json.loads(became[0][-1])["control"][-1])
    assert (gate.control_names, gate.metrics, gate.admin_hosts) == ([], [], [])


def test_a_control_plane_is_where_the_option_or_else_the_config_says(
    tmp_path: Path,
    files: list[str],
    config: str,
    became: list[list[str]],
    gave_up: list[tuple[str | None, rights.Places]],
    run: Command,
) -> None:
    control = ("control", config, *files, "--dataplane", "edge.test:9443")
    assert run(*control) == 0
    own = ("--dataplane-name", "other", "--state-dir", str(tmp_path), "--workers", "2")
    admin = ("--admin", "127.0.0.1:9090", "--admin", "off", "--no-watch", "--admin-host", "x")
    assert run(*control, *own, *admin, "--metrics", "127.0.0.1:1", "--log-level", "warn") == 0
    first, second = [Options.decode(command[-1]) for command in became]
    assert (first.state_dir, first.configs, first.user) == ("/srv/of-config", [config], "proxy")
    assert (first.admin, first.metrics, first.watch, first.admin_hosts) == (None, None, True, [])
    assert first.remote is not None
    assert (first.remote.address, first.remote.name) == ("edge.test:9443", "edge.test")
    assert second.remote is not None
    assert (second.state_dir, second.remote.name) == (str(tmp_path), "other")
    assert (second.admin, second.watch, second.workers) == (["127.0.0.1:9090"], False, 2)
    assert (second.metrics, second.admin_hosts) == (["127.0.0.1:1"], ["x"])
    assert gave_up[0] == ("proxy", rights.Places(Path("/srv/of-config")))


def test_a_control_plane_may_have_a_master(
    tmp_path: Path,
    files: list[str],
    became: list[list[str]],
    gave_up: list[tuple[str | None, rights.Places]],
    monkeypatch: pytest.MonkeyPatch,
    run: Command,
) -> None:
    monkeypatch.setenv("HEADGATE_AGENT_TOKEN", "another")
    (tmp_path / "own.toml").write_text('[node]\nuser = "proxy"\n')
    control = ("control", *files, "--dataplane", "edge.test:9443", "--state-dir", str(tmp_path))
    whose = ("--master-url", "grpcs://master.test", "--config", str(tmp_path / "own.toml"))
    assert run(*control, *whose, "--token", TOKEN, "--node", "a") == 0
    (command,) = became
    options = Options.decode(command[-1])
    assert (options.master, options.name) == ("grpcs://master.test", "a")
    assert (options.configs, options.user) == ([str(tmp_path / "own.toml")], "proxy")
    assert options.remote is not None
    assert TOKEN not in str(command)
    assert os.environ["HEADGATE_AGENT_TOKEN"] == TOKEN
    assert [user for user, _ in gave_up] == ["proxy"]


def test_a_control_plane_has_one_source_of_its_config(
    files: list[str],
    config: str,
    became: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    run: Command,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("HEADGATE_AGENT_TOKEN", raising=False)
    place = str(Path(config).parent)
    control = ("control", *files, "--dataplane", "edge.test:9443", "--state-dir", place)
    master = ("--master-url", "grpcs://master.test")
    for words, said in (
        ((config, *master, "--token", TOKEN), "from files or from a master"),
        (("--config", config), "give --master-url"),
        (("--master-url", "ftp://x", "--token", TOKEN), "--master-url"),
        (master, "this node has not enrolled yet"),
        ((), "--master-url"),
    ):
        assert run(*control, *words) == 2
        assert said in " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert became == []


def test_mistakes_are_refused_before_anything_is_touched(
    files: list[str],
    config: str,
    became: list[list[str]],
    run: Command,
    capsys: pytest.CaptureFixture[str],
) -> None:
    at = ("--dataplane", "edge:1")
    assert run("dataplane", *files, "--listen", "nowhere") == 2
    assert "--listen" in capsys.readouterr().err
    assert run("dataplane", *files, "--metrics", "nowhere") == 2
    assert "--metrics" in capsys.readouterr().err
    assert run("control", *files, *at) == 2
    assert "give a config file" in capsys.readouterr().err
    assert run("control", config, *files, "--dataplane", "edge") == 2
    assert "is not the address of a data plane" in capsys.readouterr().err
    assert run("dataplane", *files[:-1], f"{config}.none") == 78
    assert run("control", config, *files[:-1], f"{config}.none", *at) == 78
    Path(config).write_text("[routes.x]\n")
    assert run("control", config, *files, *at) == 78
    assert became == []


def test_a_control_plane_may_have_its_config_in_the_environment(
    tmp_path: Path,
    files: list[str],
    became: list[list[str]],
    run: Command,
    monkeypatch: pytest.MonkeyPatch,
    gave_up: list[tuple[str | None, rights.Places]],
) -> None:
    monkeypatch.setenv("PROXY_UPSTREAM_ADDRS", "127.0.0.1:9")
    assert run("control", *files, "--dataplane", "edge:1", "--state-dir", str(tmp_path)) == 0
    assert Options.decode(became[0][-1]).configs == []
    assert gave_up == [(None, rights.Places(tmp_path))]


def test_a_user_who_cannot_serve_ends_it_with_78(
    files: list[str],
    config: str,
    run: Command,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse(*_: object) -> None:
        raise rights.RightsError("no such user")

    monkeypatch.setattr(rights, "give_up", refuse)
    monkeypatch.setattr(planes, "become", refuse)
    assert run("control", config, *files, "--dataplane", "edge:1") == 78
    assert run("dataplane", *files) == 78
    assert capsys.readouterr().err == "headgate: no such user\n" * 2


def test_certificates_may_be_of_the_fleet_at_both_ends(
    tmp_path: Path,
    became: list[list[str]],
    gave_up: list[tuple[str | None, rights.Places]],
    monkeypatch: pytest.MonkeyPatch,
    run: Command,
) -> None:
    monkeypatch.setenv("HEADGATE_AGENT_TOKEN", "another")
    place = ("--state-dir", str(tmp_path), "--token", TOKEN)
    master = ("--master-url", "https://master.test")
    assert run("dataplane", *master, *place) == 0
    assert os.environ["HEADGATE_AGENT_TOKEN"] == TOKEN
    assert run("control", "--dataplane", "edge.test:9443", *master, *place) == 0
    gate = GateOptions.decode(json.loads(became[0][-1])["control"][-1])
    assert (gate.files, gate.master) == (None, "https://master.test")
    assert gate.fleet == Fleet(str(tmp_path / "link"), "dataplane")
    remote = Options.decode(became[1][-1]).remote
    assert remote is not None
    assert (remote.files, remote.fleet) == (None, Fleet(str(tmp_path / "master"), "agent"))
    assert TOKEN not in str(became)
    assert len(gave_up) == 1


def test_mistakes_with_certificates_of_the_fleet_are_refused(
    files: list[str],
    config: str,
    became: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    run: Command,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("HEADGATE_AGENT_TOKEN", raising=False)
    place = ("--state-dir", str(Path(config).parent))
    master = ("--master-url", "https://master.test")
    plane = ("dataplane", *place)
    control = ("control", *place, "--dataplane", "edge:1")
    for words, said in (
        ((*plane,), "give --cert, --key and --ca, or --master-url"),
        ((*plane, *files[:2]), "give --cert, --key and --ca"),
        ((*plane, *files, *master), "from files or from the fleet's CA"),
        ((*plane, *master), "this data plane has not enrolled yet"),
        ((*plane, *master, "--token", TOKEN, "--control-name", "x"), "leave it out"),
        ((*plane, "--master-url", "http://m.test", "--token", TOKEN), "without TLS"),
        ((*control, config), "give --cert, --key and --ca"),
        ((*control, *master, "--token", TOKEN, "--dataplane-name", "x"), "leave it out"),
    ):
        assert run(*words) == 2
        assert said in " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert became == []
