"""A backup of the master at a place, and a restore into one: the database there and its key."""

import contextlib
import os
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from headgate.kernel.files import private_files, replace_file, sync_folder
from headgate.master.backup.records import End
from headgate.master.backup.restoring import Order, head_of, is_empty, not_empty, restore
from headgate.master.backup.writing import Keys, back_up
from headgate.master.ids import Clock
from headgate.master.store.copies import copy_sqlite, place_of
from headgate.master.store.errors import StartError
from headgate.master.store.opening import FILE, Place, postgres, prepare, sqlite
from headgate.master.store.sealing import KEY_FILE, VARIABLE, Sealer, load_sealer, sealer_of

_RESTORING: Final = "restoring.db"
_NO_DAMAGE: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL})
"""Errors that pass by themselves, or by more room, and leave the database as it is."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The master that a command is about."""

    place: Place
    master_key: str | None
    """The master's key from the environment; None: a file of the directory."""
    program: str
    """The version of headgate."""
    clock: Clock

    @property
    def key_file(self) -> Path:
        """The file of the key, unless the key comes from the environment."""
        return self.place.directory / KEY_FILE


async def back_up_master(subject: Subject, target: Path, passphrase: bytes) -> End:
    """Writes a backup of a master, which may run meanwhile; raises StartError."""
    head = (subject.program, lambda: _present_keys(subject), subject.clock)
    async with _reading(subject.place) as engine:
        return await back_up(engine, target, passphrase, head)


def _present_keys(subject: Subject) -> Keys:
    """Returns the master's keys; raises StartError if they are nowhere."""
    file = subject.key_file
    if subject.master_key is not None:
        return Keys(None, load_sealer(file, subject.master_key), VARIABLE)
    try:
        text = file.read_text()
    except FileNotFoundError as error:
        raise StartError(
            f"there is no {file.name} in {file.parent}; name the master's directory with --data,"
            f" or set {VARIABLE} to its key"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise StartError(f"{file} cannot be read: {error}; make it readable") from error
    # Without its file: the keys that are checked are those that the backup gets.
    return Keys(text, sealer_of(text, str(file)), str(file))


async def restore_master(
    subject: Subject, file: Path, passphrase: bytes, *, is_replacing: bool
) -> End:
    """Makes a master of a backup; no other may run there. Raises StartError."""
    try:
        head = head_of(file, passphrase)
    except OSError as error:
        raise StartError(f"{file} cannot be read: {error.strerror}; name a backup") from error
    order = Order(file, passphrase, is_replacing, subject.clock())
    with private_files():
        lock = prepare(subject.place.directory)
        try:
            keys = _keys(subject, head.master_key)
            sealer = _sealer(subject, keys)
            if subject.place.url:
                return await _into_postgres(subject, order, sealer, keys)
            return await _into_sqlite(subject, order, sealer, keys)
        finally:
            os.close(lock)


async def _into_postgres(subject: Subject, order: Order, sealer: Sealer, keys: str) -> End:
    engine = postgres(subject.place.url)
    try:
        # The key before the commit: a key too many does no harm.
        return await restore(engine, order, sealer, lambda: _keep(subject, keys))
    finally:
        await engine.dispose()


async def _into_sqlite(subject: Subject, order: Order, sealer: Sealer, keys: str) -> End:
    """Fills a new file, which then takes the place of the old one."""
    file, fresh = subject.place.directory / FILE, subject.place.directory / _RESTORING
    is_there = file.exists() and not await _is_empty(file)
    if is_there and not order.is_replacing:
        raise not_empty()
    try:
        _remove(fresh)
        fresh.touch(mode=0o600)
        engine = sqlite(fresh, is_writer=True)
        try:
            end = await restore(engine, order, sealer)
        finally:
            await engine.dispose()
        _settle(fresh)
        _keep(subject, keys)
        _clear(file, order.now_ms, is_kept=is_there)
        fresh.replace(file)
        sync_folder(file.parent)
    except (OSError, sqlite3.Error) as error:
        raise StartError(f"the backup cannot be restored: {error}; see {file.parent}") from error
    finally:
        _remove(fresh)
    return end


async def _is_empty(file: Path) -> bool:
    """Says whether a database holds nothing of a master; one that is damaged may hold something."""
    engine = sqlite(file, is_writer=False)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(is_empty)
    except (SQLAlchemyError, sqlite3.Error):
        return False
    finally:
        await engine.dispose()


def _clear(file: Path, now_ms: int, *, is_kept: bool) -> None:
    """Makes room for another database: the old one is copied into `backups/`, and one that is
    damaged goes there as it is. Raises OSError and sqlite3.Error."""
    try:
        if is_kept:
            copy_sqlite(file, now_ms, "restore")
        if file.exists():
            _settle(file)
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _NO_DAMAGE:
            raise
        _set_aside(file, now_ms, "")
    # A log that is left, also of a file that is gone, would be taken for one of the new file.
    for suffix in ("-wal", "-journal"):
        _set_aside(file, now_ms, suffix)
    _named(file, "-shm").unlink(missing_ok=True)


def _set_aside(file: Path, now_ms: int, suffix: str) -> None:
    old = _named(file, suffix)
    if old.exists():
        old.replace(place_of(file.parent, f"before-restore-{now_ms}.db{suffix}"))


@contextlib.asynccontextmanager
async def _reading(place: Place) -> AsyncIterator[AsyncEngine]:
    if place.url:
        engine = postgres(place.url)
    else:
        file = place.directory / FILE
        if not file.exists():
            raise StartError(
                f"there is no master in {place.directory}; name its directory with --data, or its"
                " database with DATABASE_URL"
            )
        engine = sqlite(file, is_writer=False)
    try:
        yield engine
    finally:
        await engine.dispose()


def _keys(subject: Subject, restored: str | None) -> str:
    """Returns the text of the key file: the keys of the backup, then those that were there."""
    there = subject.key_file.read_text() if subject.key_file.exists() else ""
    return "".join(f"{key}\n" for key in dict.fromkeys(f"{restored or ''} {there}".split()))


def _sealer(subject: Subject, keys: str) -> Sealer:
    """Returns what opens the secrets of the master once it is restored."""
    if subject.master_key is not None:
        return load_sealer(subject.key_file, subject.master_key)
    if not keys:
        raise StartError(
            f"the master's key is not in this backup; set {VARIABLE} to it, or put its"
            f" {KEY_FILE} into {subject.place.directory}"
        )
    return sealer_of(keys, str(subject.key_file))


def _keep(subject: Subject, keys: str) -> None:
    if subject.master_key is None:
        replace_file(subject.key_file, keys.encode())


def _settle(file: Path) -> None:
    """Brings a database into its one file, durable on return."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA journal_mode=DELETE")
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(file: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        _named(file, suffix).unlink(missing_ok=True)


def _named(file: Path, suffix: str) -> Path:
    return file.with_name(file.name + suffix)
