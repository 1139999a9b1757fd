"""The instances of an agent: how each is started, by `headgate agent` and, after a reload, by the
process of the agent, which runs this module for it."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NoReturn

import msgspec

from headgate.cli import run
from headgate.cli.reading import read
from headgate.cli.unanswered import UnansweredError
from headgate.compile.settings import NodeSettings
from headgate.kernel.diagnostics import render_text
from headgate.node.agent.office import join_token
from headgate.node.agent.places import has_identity
from headgate.supervisor.statedir import StateDirError, check_length, instance_dir

_MODULE: Final = "instances.main"


class Asked(msgspec.Struct, frozen=True):
    """The options of an agent's command line that concern its instances."""

    state_dir: str
    configs: list[str]
    master: str
    name: str = ""
    log_level: str | None = None
    upgrade_command: str | None = None


class Start(msgspec.Struct, frozen=True):
    """The way to start an instance, by its supervisor's command; it ends within `grace_s`."""

    command: list[str]
    grace_s: float


class RefusedError(Exception):
    """An instance cannot be started; the message names it and says what to do."""


def agent_command(asked: Asked, settings: NodeSettings) -> list[str]:
    """Returns the command of the agent's process; raises RefusedError."""
    reader = [sys.executable, "-P", "-m", "headgate.cli.instances"]
    told = {
        "state_dir": asked.state_dir,
        "log_level": asked.log_level or settings.log_level,
        "instances": msgspec.to_builtins(starts(asked, settings.instances)),
        "reader": [*reader, msgspec.json.encode(asked).decode()],
    }
    return run.supervisor_of(told, _MODULE)


def starts(asked: Asked, instances: Mapping[str, NodeSettings]) -> dict[str, Start]:
    """Returns how each instance is started; raises RefusedError."""
    return {name: _start(asked, name, settings) for name, settings in instances.items()}


def _start(asked: Asked, name: str, settings: NodeSettings) -> Start:
    place = instance_dir(asked.state_dir, name)
    try:
        check_length(place)
    except StateDirError as error:
        raise RefusedError(f'instance "{name}": {error}') from error
    if join_token() is None and not has_identity(Path(place)):
        raise RefusedError(
            f'instance "{name}" has not enrolled yet ({place} has no identity): start the agent'
            " with --token, or set HEADGATE_AGENT_TOKEN, with a join token of the master that has a"
            " use for each new instance"
        )
    command = asked.upgrade_command
    request = run.RunRequest(
        configs=[Path(path) for path in asked.configs],
        workers=None,
        admin=None,
        metrics=None,
        admin_hosts=[],
        log_level=asked.log_level,
        watch=True,
        master=asked.master,
        name=asked.name,
        upgrade_command=None if command is None else Path(command),
        instance=name,
        agent_dir=asked.state_dir,
    )
    grace_s = settings.drain_s + run.CONTROL_GRACE_S
    return Start(run.supervisor_command(request, settings, Path(place)), grace_s)


def main() -> NoReturn:
    """Writes the instances that the config has now, or why it is refused, and ends."""
    asked = msgspec.json.decode(sys.argv[-1], type=Asked)
    try:
        loaded = read([Path(path) for path in asked.configs], os.environ)
        if loaded.node is None:
            answer: object = {"error": render_text(loaded.diagnostics).rstrip()}
        elif not loaded.node.instances:
            what = "the config has no node.instances any more"
            answer = {"error": f"{what}: restart the agent to make it a single node"}
        else:
            answer = {"instances": starts(asked, loaded.node.instances)}
    except (RefusedError, UnansweredError) as error:
        answer = {"error": str(error)}
    sys.stdout.write(msgspec.json.encode(answer).decode())
    sys.stdout.flush()
    os.close(sys.stdout.fileno())  # a thread that a file system holds must not hold the answer
    os._exit(0)


if __name__ == "__main__":
    main()
