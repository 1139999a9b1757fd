"""How each instance of an agent is started, and what the module answers to the agent's process."""

import io
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from headgate.cli import instances
from headgate.cli.instances import Asked, RefusedError, agent_command, starts
from headgate.cli.reading import read
from headgate.cli.unanswered import UnansweredError
from headgate.compile.settings import NodeSettings
from headgate.node.options import Options

CONFIG = """\
[node]
engine = "nginx"
log_level = "warn"
drain = { deadline = "5s" }
[node.nginx]
mode = "observe"
start = "external"
[node.instances.outer.nginx]
conf = "/etc/nginx/outer.conf"
"""
URL = "grpcs://master.test"


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    """The join token that every instance enrols with."""
    monkeypatch.setenv("HEADGATE_AGENT_TOKEN", "t")
    monkeypatch.delenv("NXMESH_AGENT_TOKEN", raising=False)


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    config = tmp_path / "node.toml"
    config.write_text(CONFIG)
    return Asked("/s", [str(config)], URL, "host", upgrade_command="/bin/install")


def settings(asked: Asked) -> NodeSettings:
    found = read([Path(path) for path in asked.configs], {}).node
    assert found is not None
    return found


def options(command: list[str]) -> Options:
    return Options.decode(json.loads(command[-1])["control"][-1])


def test_an_instance_is_a_node_of_its_own_below_the_agent(asked: Asked) -> None:
    node = settings(asked)
    (start,) = starts(asked, node.instances).values()
    assert start.grace_s == node.instances["outer"].drain_s + 3.0
    one = options(start.command)
    assert (one.state_dir, one.configs) == ("/s/instances/outer", asked.configs)
    assert (one.instance, one.agent_dir, one.name) == ("outer", "/s", "host")
    assert (one.master, one.upgrade_command, one.watch) == (URL, "/bin/install", True)
    assert (one.admin, one.metrics, one.log_level) == (None, None, None)


def test_without_an_upgrade_command_an_instance_has_none(asked: Asked) -> None:
    bare = msgspec.structs.replace(asked, upgrade_command=None)
    (start,) = starts(bare, settings(bare).instances).values()
    assert options(start.command).upgrade_command is None


def test_the_agent_starts_its_instances_and_reads_them_again_as_it_was_asked(asked: Asked) -> None:
    node = settings(asked)
    told = json.loads(agent_command(asked, node)[-1])
    assert told["state_dir"] == "/s"
    assert told["log_level"] == "warn"
    assert told["instances"] == msgspec.to_builtins(starts(asked, node.instances))
    assert told["reader"][1:-1] == ["-P", "-m", "headgate.cli.instances"]
    assert msgspec.json.decode(told["reader"][-1], type=Asked) == asked
    loud = msgspec.structs.replace(asked, log_level="debug")
    assert json.loads(agent_command(loud, node)[-1])["log_level"] == "debug"


def test_an_instance_without_a_token_or_an_identity_is_refused_by_its_name(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HEADGATE_AGENT_TOKEN")
    known = settings(asked).instances
    with pytest.raises(RefusedError, match=r'^instance "outer" has not enrolled yet '):
        starts(asked, known)
    monkeypatch.setattr(instances, "has_identity", lambda at: at == Path("/s/instances/outer"))
    assert list(starts(asked, known)) == ["outer"]


def test_a_state_directory_that_is_too_long_for_sockets_is_refused(asked: Asked) -> None:
    long = msgspec.structs.replace(asked, state_dir="/" + "s" * 100)
    with pytest.raises(RefusedError, match=r'^instance "outer": .* too long for a Unix socket'):
        starts(long, settings(long).instances)


class Answer(io.StringIO):
    """A standard output with a descriptor that the module may close."""

    def __init__(self) -> None:
        super().__init__()
        self.descriptor = os.open(os.devnull, os.O_WRONLY)
        self.flushed = ""

    def fileno(self) -> int:
        return self.descriptor

    def flush(self) -> None:
        self.flushed = self.getvalue()


def answered(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, Any]:
    """What the module answers; it ends well, and leaves nobody to wait for more."""
    said = Answer()

    def leave(code: int) -> None:
        raise SystemExit(code)

    monkeypatch.setattr(sys, "argv", ["instances", msgspec.json.encode(asked).decode()])
    monkeypatch.setattr(sys, "stdout", said)
    monkeypatch.setattr(os, "_exit", leave)
    with pytest.raises(SystemExit) as end:
        instances.main()
    assert end.value.code == 0
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(said.descriptor)
    found: Mapping[str, Any] = json.loads(said.flushed)
    return found


def test_the_agents_process_is_told_the_instances_that_the_config_has_now(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = msgspec.to_builtins(starts(asked, settings(asked).instances))
    assert answered(asked, monkeypatch) == {"instances": wanted}


@pytest.mark.parametrize(
    ("config", "error"),
    [
        ("[node]\nworkers = 'x'\n", "node.toml:2:"),
        ("[node]\nworkers = 2\n", "the config has no node.instances any more: restart the agent"),
        (CONFIG, "too long for a Unix socket"),
    ],
)
def test_the_agents_process_is_told_why_a_config_is_refused(
    config: str, error: str, asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "node.toml").write_text(config)
    long = msgspec.structs.replace(asked, state_dir="/" + "s" * 100)
    (said,) = answered(long, monkeypatch).values()
    assert error in said
    assert not said.endswith("\n")


def test_the_agents_process_is_told_of_a_file_system_that_does_not_answer(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang(*_: object) -> None:
        raise UnansweredError("/nfs does not answer")

    monkeypatch.setattr(instances, "read", hang)
    assert answered(asked, monkeypatch) == {"error": "/nfs does not answer"}
