"""The commands that back a master up and restore it."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headgate.cli.master_options import Data, DatabaseUrl, directory
from headgate.cli.output import complain

if TYPE_CHECKING:
    from headgate.master.backup.places import Subject
    from headgate.master.backup.records import End

_VARIABLE = "HEADGATE_BACKUP_PASSPHRASE"

File = Annotated[Path, typer.Argument(metavar="FILE", help="The file of the backup.")]
PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="A file whose first line is the passphrase; without it, HEADGATE_BACKUP_PASSPHRASE or "
        "the terminal.",
    ),
]


def backup(
    file: File,
    data: Data = None,
    database_url: DatabaseUrl = "",
    passphrase_file: PassphraseFile = None,
) -> None:
    """Write an encrypted backup of a master, which may be running.

    It holds the whole database and, unless that comes from HEADGATE_MASTER_KEY, the master's key,
    which is in the directory, also where the database is PostgreSQL.
    You can restore it on SQLite or PostgreSQL, with this version of headgate or a newer one.

    \b
    Examples:
      headgate master backup /backup/master-monday --passphrase-file /etc/headgate/backup-key
      DATABASE_URL=postgresql:///headgate headgate master backup monday --data /srv/headgate
    """
    import asyncio

    from headgate.master.backup.places import back_up_master
    from headgate.master.store.errors import StartError
    from headgate.master.store.sealing import VARIABLE

    try:
        secret = _passphrase(passphrase_file, is_new=True)
        subject = _subject(data, database_url)
        end = asyncio.run(back_up_master(subject, file.absolute(), secret))
    except StartError as error:
        raise complain(str(error)) from error
    key = "the master's key" if subject.master_key is None else f"no key, which {VARIABLE} has"
    sys.stdout.write(f"the backup {file} holds {_counted(end)}, and {key}\n")


def restore(
    file: File,
    data: Data = None,
    database_url: DatabaseUrl = "",
    passphrase_file: PassphraseFile = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Remove the existing data of the master.")
    ] = False,
) -> None:
    """Restore a master from a backup; no master may run on this directory or database.

    Users, resources, revisions and agents are those of the backup. Agents connect again with their
    old certificates, and serve what the restored master wants them to serve.

    \b
    Examples:
      headgate master restore /backup/master-monday --data /srv/headgate
      DATABASE_URL=postgresql:///headgate headgate master restore monday --replace
    """
    import asyncio

    from headgate.master.backup.places import restore_master
    from headgate.master.store.errors import StartError

    try:
        secret = _passphrase(passphrase_file, is_new=False)
        subject = _subject(data, database_url)
        end = asyncio.run(restore_master(subject, file, secret, is_replacing=replace))
    except StartError as error:
        raise complain(str(error)) from error
    sys.stdout.write(f"the master has {_counted(end)}\n")


def _subject(data: Path | None, database_url: str) -> "Subject":
    from headgate.master.backup.places import Subject
    from headgate.master.process import now_ms
    from headgate.master.store.opening import Place
    from headgate.master.store.sealing import VARIABLE
    from headgate.node.about import version

    place = Place(directory(data), database_url)
    return Subject(place, os.environ.pop(VARIABLE, None), version(), now_ms)


def _passphrase(file: Path | None, *, is_new: bool) -> bytes:
    """Returns the passphrase of a file, the environment or the terminal; raises StartError."""
    from headgate.master.backup.envelope import checked_passphrase
    from headgate.master.store.errors import StartError

    given = os.environ.pop(_VARIABLE, None)
    if file is not None:
        try:
            text = file.read_text().partition("\n")[0].strip()
        except (OSError, UnicodeDecodeError) as error:
            raise StartError(f"{file} cannot be read: {error}; name a readable file") from error
        return checked_passphrase(text, str(file))
    if given is not None:
        return checked_passphrase(given, _VARIABLE)
    if not sys.stdin.isatty():
        raise StartError(f"there is no passphrase; give --passphrase-file, or set {_VARIABLE}")
    asked = typer.prompt("Passphrase", hide_input=True, confirmation_prompt=is_new, err=True)
    return checked_passphrase(str(asked), "this")


def _counted(end: "End") -> str:
    counts = end.counts
    nouns = ("users", "agents", "revisions", "resources")
    return ", ".join(f"{counts.get(noun, 0)} {noun}" for noun in nouns)
