"""Options that the commands share which open a master's data."""

import os
from pathlib import Path
from typing import Annotated

import typer

_ROOT_DIRECTORY = Path("/var/lib/headgate-master")

Data = Annotated[
    Path | None,
    typer.Option(
        envvar="HEADGATE_MASTER_DATA",
        metavar="DIR",
        help="The master's directory: database, key, backups.",
    ),
]
DatabaseUrl = Annotated[
    str,
    typer.Option(
        envvar="DATABASE_URL",
        metavar="URL",
        help="A PostgreSQL database, instead of SQLite in the directory.",
    ),
]


def directory(given: Path | None) -> Path:
    """Returns where a master keeps its data."""
    if given is not None:
        return given.absolute()
    if os.geteuid() == 0:
        return _ROOT_DIRECTORY
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state"
    return Path(state) / "headgate-master"
