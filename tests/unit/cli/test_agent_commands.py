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

URL = "grpcs://master.test"
VARIABLES = ("HEADGATE_MASTER_URL", "NXMESH_MASTER_URL", "HEADGATE_AGENT_TOKEN")
Command = Callable[..., int]


@pytest.fixture
def became(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that took the place of this process."""
    commands: list[list[str]] = []
    monkeypatch.setattr(runner, "become", commands.append)
    return commands


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    for name in (*VARIABLES, "NXMESH_AGENT_TOKEN"):
        monkeypatch.setenv(name, "")  # so that what the command sets is undone
        monkeypatch.delenv(name)
    monkeypatch.setenv("HEADGATE_STATE_DIR", str(tmp_path / "state"))
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
    assert (one.state_dir, one.configs) == (str(tmp_path / "state"), [str(own)])
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
