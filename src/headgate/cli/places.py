"""Options that several commands share: config, engine and node."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from headgate.supervisor.statedir import StateDirError, resolve


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


def state_dir(explicit: str | None, node: str | None) -> Path:
    """Returns the state directory of the options; an invalid node name is a usage error."""
    try:
        return Path(resolve(explicit, node, os.environ, os.geteuid()))
    except StateDirError as error:
        raise typer.BadParameter(str(error)) from error
