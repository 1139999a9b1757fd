"""The copies that a master makes of its database before it changes all of it, in `backups/`."""

import contextlib
import re
import sqlite3
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

from headgate.kernel.files import sync_folder

Copy = Callable[[], Coroutine[Any, Any, Path]]
"""Copies a database into a new file of `backups/`."""

FOLDER: Final = "backups"
KEPT: Final = 5
"""A service that is started again and again with a migration that fails must not fill the disk."""

_OF_A_MIGRATION: Final = re.compile(r"before-migration-(\d+)\.[a-z]+")
_PART: Final = re.compile(r"\.before-[a-z]+-\d+\.[a-z]+\.part(-[a-z]+)?")
"""The leftovers of a process that was killed during a copy."""


def place_of(directory: Path, name: str) -> Path:
    """Returns the place of a copy in the master's directory; makes the folder, for its owner."""
    folder = directory / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / name


def copy_sqlite(file: Path, now_ms: int, before: str = "migration") -> Path:
    """Copies the file as SQLite does it, so that the copy is whole; returns the copy."""
    target = place_of(file.parent, f"before-{before}-{now_ms}.db")
    part = target.with_name(f".{target.name}.part")
    part.touch(mode=0o600)
    try:
        with (
            contextlib.closing(sqlite3.connect(file)) as source,
            contextlib.closing(sqlite3.connect(part)) as copy,
        ):
            source.backup(copy)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    sync_folder(target.parent)
    return target


def forget_older(folder: Path) -> None:
    """Removes all copies before migrations but the newest; other files stay."""
    copies = []
    for one in folder.iterdir():
        if match := _OF_A_MIGRATION.fullmatch(one.name):
            copies.append((int(match[1]), one))
        elif _PART.fullmatch(one.name):
            one.unlink()
    for _, one in sorted(copies)[:-KEPT]:
        one.unlink()
