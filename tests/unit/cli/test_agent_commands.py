"""What `headgate agent` becomes, and what it wants before that."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from scripted_master import left

from headgate.cli import agent as agents
from headgate.cli import run as runner
from headgate.node.options import Options

STATE = "/srv/of-environment"
URL = "grpcs://master.test"
SEVERAL = """\
[node]
engine = "nginx"
state_dir = "/srv/of-config"
[node.nginx]
mode = "observe"
start = "external"
[node.instances.outer.nginx]
conf = "/etc/nginx/outer.conf"
"""
VARIABLES = ("HEADGATE_MASTER_URL", "NXMESH_MASTER_URL", "HEADGATE_AGENT_TOKEN")
Command = Callable[..., int]


@pytest.fixture
def became(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that took the place of this process."""
    commands: list[list[str]] = []
    monkeypatch.setattr(runner, "become", commands.append)
    monkeypatch.setattr(runner, "become_agent", _never_ends(commands))
    return commands


def _never_ends(commands: list[list[str]]) -> Callable[[list[str]], None]:
    """What takes the place of the process: nothing of the command comes after it."""

    def become(command: list[str]) -> None:
        commands.append(command)
        raise SystemExit(0)

    return become


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    for name in (*VARIABLES, "NXMESH_AGENT_TOKEN"):
        monkeypatch.setenv(name, "")  # so that what the command sets is undone
        monkeypatch.delenv(name)
    monkeypatch.setenv("HEADGATE_STATE_DIR", STATE)
    return lambda *arguments: left(monkeypatch, *arguments)


def test_an_agent_is_a_node_of_its_master_whose_token_nobody_sees(
    tmp_path: Path, became: list[list[str]], run: Command
) -> None:
    own = tmp_path / "node.toml"
    own.write_text("[node]\nworkers = 3\n")
    more = ("--admin", "127.0.0.1:9", "--admin", "off", "--metrics", "127.0.0.1:8")
    token = ("--token", "secret", "--config", str(own), "--engine", "nginx")
    assert run("agent", "--master-url", URL, *token, *more) == 0
    (command,) = became
    assert os.environ["HEADGATE_AGENT_TOKEN"] == "secret"  # noqa: S105 - of this test
    assert not any("secret" in word for word in command)
    one = Options.decode(json.loads(command[-1])["control"][-1])
    assert one.master is not None
    assert one.master.startswith(URL)
    assert (one.state_dir, one.configs) == (STATE, [str(own)])
    assert (one.admin, one.metrics, one.watch) == (["127.0.0.1:9"], ["127.0.0.1:8"], True)
    assert (one.engine, one.engine_is_forced) == ("nginx", True)
    assert json.loads(command[-1])["workers"] == 3


def test_an_agent_that_has_enrolled_needs_no_token(
    became: list[list[str]], run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents, "has_identity", lambda _: True)
    assert run("agent", "--master-url", URL) == 0
    one = Options.decode(json.loads(became[0][-1])["control"][-1])
    assert (one.admin, one.metrics, one.configs, one.engine_is_forced) == (None, None, [], False)
    assert "HEADGATE_AGENT_TOKEN" not in os.environ


def test_what_an_agent_needs_is_asked_for(
    tmp_path: Path, became: list[list[str]], run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("agent", "--token", "t") == 2
    assert "say where the master is" in capsys.readouterr().err
    assert run("agent", "--token", "t", "--master-url", "nowhere") == 2
    assert "--master-url" in capsys.readouterr().err
    assert run("agent", "--master-url", URL) == 2
    assert "this node has not enrolled yet" in capsys.readouterr().err
    (tmp_path / "bad.toml").write_text("[node]\nworkers = 'x'\n")
    bad = ("--config", str(tmp_path / "bad.toml"))
    assert run("agent", "--master-url", URL, "--token", "t", *bad) == 78
    assert became == []


def test_an_agent_with_several_instances_becomes_the_process_of_all_of_them(
    tmp_path: Path, became: list[list[str]], run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "node.toml").write_text(SEVERAL)
    own = ("agent", "--master-url", URL, "--token", "t", "--config", str(tmp_path / "node.toml"))
    install = tmp_path / "install"
    install.touch(0o755)
    assert run(*own, "--log-level", "warn", "--upgrade-command", str(install)) == 0
    monkeypatch.delenv("HEADGATE_STATE_DIR")
    assert run(*own, "--node", "edge") == 0
    first, second = (json.loads(command[-1]) for command in became)
    (outer,) = first["instances"]
    assert (outer, first["state_dir"], first["log_level"]) == (
        "outer",
        STATE,
        "warn",
    )
    asked = json.loads(first["reader"][-1])
    assert asked == {
        "state_dir": STATE,
        "configs": [str(tmp_path / "node.toml")],
        "master": asked["master"],
        "name": "",
        "log_level": "warn",
        "upgrade_command": str(install),
    }
    assert asked["master"].startswith(URL)
    other = json.loads(second["reader"][-1])
    assert (second["state_dir"], other["name"]) == ("/srv/of-config", "edge")
    assert other["upgrade_command"] is None


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--admin", "127.0.0.1:9"),
        ("--metrics", "127.0.0.1:9"),
        ("--engine", "nginx"),
        ("--workers", "2"),
    ],
)
def test_several_instances_take_no_option_of_one_node(
    option: str,
    value: str,
    tmp_path: Path,
    became: list[list[str]],
    run: Command,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "node.toml").write_text(SEVERAL)
    own = ("agent", "--master-url", URL, "--token", "t", "--config", str(tmp_path / "node.toml"))
    assert run(*own, option, value) == 2
    said = capsys.readouterr().err
    assert option in said
    assert "the config has several instances" in said
    assert became == []


def test_several_instances_without_a_token_are_asked_for_one(
    tmp_path: Path, became: list[list[str]], run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "node.toml").write_text(SEVERAL)
    assert run("agent", "--master-url", URL, "--config", str(tmp_path / "node.toml")) == 2
    said = capsys.readouterr().err
    assert "--token" in said
    assert 'instance "outer" has not enrolled yet' in said
    assert became == []
