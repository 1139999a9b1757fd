"""Options that several commands share: config, engine and node."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from headgate.kernel.nearest import listed
from headgate.supervisor.statedir import (
    INSTANCES,
    INSTANCES_DOOR,
    StateDirError,
    instance_dir,
    resolve,
)


class Engine(StrEnum):
    """The engines."""

    NATIVE = "native"
    NGINX = "nginx"


# `parser`: by default the command line examines each path, and waits for its file system.
Configs = Annotated[
    list[Path] | None,
    typer.Argument(help="Config files, or directories of them.", metavar="CONFIG", parser=Path),
]
StateDir = Annotated[
    str | None,
    typer.Option(
        "--state-dir",
        envvar="HEADGATE_STATE_DIR",
        show_envvar=True,
        help="The node's state directory.",
        metavar="DIR",
    ),
]
NodeName = Annotated[
    str | None,
    typer.Option(
        "--node",
        envvar="HEADGATE_NODE",
        help="The node's name, if several run on one host. [default: default]",
        metavar="NAME",
    ),
]


InstanceName = Annotated[
    str | None,
    typer.Option(
        "--instance",
        envvar="HEADGATE_INSTANCE",
        help="The instance, if the agent drives several.",
        metavar="NAME",
    ),
]


def state_dir(explicit: str | None, node: str | None) -> Path:
    """Returns the state directory of the options; an invalid node name is a usage error."""
    try:
        return Path(resolve(explicit, node, os.environ, os.geteuid()))
    except StateDirError as error:
        raise typer.BadParameter(str(error)) from error


def node_dir(explicit: str | None, node: str | None, instance: str | None) -> Path:
    """Returns the state directory of one node or instance; that of an agent with several instances,
    of which none is named, is a usage error."""
    place = state_dir(explicit, node)
    names = instances_of(place)
    if not instance and names and drives_several(place):
        what = f"the agent at {place} drives several instances; name one: {listed(driven(place))}"
        raise typer.BadParameter(what, param_hint="--instance")
    if instance:
        if instance not in names:
            known = f"it has {listed(names)}" if names else "it drives one node, without instances"
            what = f'the agent at {place} has no instance "{instance}"; {known}'
            raise typer.BadParameter(what, param_hint="--instance")
        return Path(instance_dir(str(place), instance))
    return place


def drives_several(place: Path) -> bool:
    """Returns whether the agent at this state directory has instances: one that runs has a socket
    for them; one that does not has nothing of a single node."""
    if _told(place) is not None:
        return True
    if (place / "supervisor.sock").exists() or (place / "nginx").exists():
        return False
    return bool(instances_of(place))


def driven(place: Path) -> list[str]:
    """Returns the instances of an agent: those that it says it has, if it runs."""
    told = _told(place)
    return instances_of(place) if told is None else told


def _told(place: Path) -> list[str] | None:
    """Returns the instances that an agent names; None if none runs here: one that was killed leaves
    its socket behind."""
    from headgate.cli import calls

    try:
        told = calls.supervisor(place, "instances", INSTANCES_DOOR).get("instances")
    except calls.NoNodeError:
        return None
    return sorted(told) if isinstance(told, dict) else None


def instances_of(place: Path) -> list[str]:
    """Returns the instances that have a state directory in this one, also those of the past."""
    try:
        return sorted(one.name for one in (place / INSTANCES).iterdir() if one.is_dir())
    except OSError:
        return []
