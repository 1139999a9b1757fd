"""Opens the database that an address names, brings it to this version, and locks its directory."""

import fcntl
import os
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry

from headgate.master.ids import Clock
from headgate.master.store.abandoned import APPLICATION
from headgate.master.store.copies import Copy, copy_sqlite
from headgate.master.store.database import SINGLE, Database
from headgate.master.store.errors import StartError
from headgate.master.store.migrate import migrate
from headgate.master.store.sqlite_driver import Driver

FILE: Final = "master.db"
_READERS = 4
_BUSY_MS = 10_000
_POSTGRES_POOL = 10
_CONNECT_S = 10.0
COMMAND_S = 30.0
"""A database behind a network that drops every packet must not hold callers for ever."""
_IDLE_S = 15.0
"""Nor must a master behind such a network hold rows that others wait for: PostgreSQL ends its
transaction after this time without a statement, not when TCP gives up, which takes hours."""

_TRUSTED_S: Final = 1.0
"""The time for which a connection that answered is taken for one that still does."""
_USED_AT: Final = "headgate_used_at"


@dataclass(frozen=True, slots=True)
class Place:
    """The place where the master keeps its data; `url` is empty for SQLite in the directory."""

    directory: Path
    url: str = ""


def prepare(directory: Path) -> int:
    """Makes the master's directory, for its owner alone, and locks it.

    Returns the descriptor that holds the lock; raises StartError if another master has it.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)
        lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StartError(f"{directory} cannot be used: {error.strerror}; name another") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise StartError(
            f"another master uses {directory}; stop it, or give this one its own --data directory"
        ) from error
    return lock


async def open_database(place: Place, clock: Clock, copy: Copy) -> Database:
    """Returns the database of the place, migrated and started; raises StartError.

    `copy` copies PostgreSQL before it is migrated; SQLite's file is copied as it is.
    """
    if place.url:
        patient = postgres(place.url)
        try:
            await migrate(patient, copy)
        finally:
            await patient.dispose()
        engine = postgres(place.url, COMMAND_S)
        # Statements of one transaction see what was committed before each, here, so that a read
        # gains nothing by one; without it goes no trip to its beginning and end.
        reader = engine.execution_options(isolation_level="AUTOCOMMIT")
        database = Database(reader, engine, is_sqlite=False)
    else:
        path = place.directory / FILE
        path.touch(mode=0o600)
        writer = sqlite(path, is_writer=True)

        async def copied() -> Path:
            return copy_sqlite(path, clock())

        await migrate(writer, copied)
        database = Database(sqlite(path, is_writer=False), writer, is_sqlite=True)
    database.start()
    return database


def postgres(text: str, command_s: float | None = None) -> AsyncEngine:
    """Returns the engine of a PostgreSQL database; raises StartError for a wrong address.

    `command_s`: how many seconds a statement may take; None = as long as it takes.
    """
    url = _postgres_url(text)
    engine = create_async_engine(
        url,
        pool_size=_POSTGRES_POOL,
        max_overflow=0,
        pool_timeout=_CONNECT_S,
        connect_args={"timeout": _CONNECT_S, "command_timeout": command_s},
        hide_parameters=True,
    )

    def configure(connection: DBAPIConnection, _record: object) -> None:
        # By a statement, not as a parameter of the start, which poolers refuse.
        cursor = connection.cursor()
        cursor.execute(f"SET idle_in_transaction_session_timeout = {round(_IDLE_S * 1000)}")
        if command_s is not None:
            cursor.execute(f"SET application_name = '{APPLICATION}'")
        cursor.close()
        connection.commit()

    event.listen(engine.sync_engine, "connect", configure)
    _look_after(engine)
    return engine


def _look_after(engine: AsyncEngine) -> None:
    """Has connections that are gone replaced before they are used.

    The driver knows of those whose end reached this machine. Others are asked, but for the ones
    that answered a moment ago, since that takes a trip as long as that of most statements.
    """

    def returned(_connection: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
        record.info[_USED_AT] = time.monotonic()

    def taken(connection: DBAPIConnection, record: ConnectionPoolEntry, _: object) -> None:
        used_at = record.info.get(_USED_AT)
        if used_at is None:
            return  # it was opened for this
        driver: Any = connection  # of SQLAlchemy around asyncpg
        if driver.driver_connection.is_closed():
            raise InvalidatePoolError
        if time.monotonic() - used_at < _TRUSTED_S:
            return
        driver.autocommit = True  # else the question takes a transaction of its own
        try:
            driver.ping()
        except engine.dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError from error
        finally:
            driver.autocommit = False

    event.listen(engine.sync_engine, "checkin", returned)
    event.listen(engine.sync_engine, "checkout", taken)


def _postgres_url(text: str) -> URL:
    allowed = "write postgresql://USER:PASSWORD@HOST/NAME, or leave it out for SQLite"
    try:
        url = make_url(text)
    except ArgumentError:
        raise StartError(f"DATABASE_URL is not an address of a database; {allowed}") from None
    if url.get_backend_name() not in {"postgresql", "postgres"}:
        raise StartError(f"DATABASE_URL names {url.get_backend_name()}; {allowed}")
    return url.set(drivername="postgresql+asyncpg")


def sqlite(path: Path, *, is_writer: bool) -> AsyncEngine:
    """Returns the engine of a file: with one connection that writes, or with some that read."""
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=str(path)),
        module=Driver(),
        poolclass=AsyncAdaptedQueuePool,
        pool_size=1 if is_writer else _READERS,
        max_overflow=0,
        hide_parameters=True,
    )

    def configure(connection: sqlite3.Connection, _record: object) -> None:
        # The driver would begin transactions late and leave changes of tables outside.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        # What was acknowledged survives a power cut, too.
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
        if not is_writer:
            cursor.execute("PRAGMA query_only=ON")
        cursor.close()

    def begin(connection: Connection) -> None:
        if not connection.get_execution_options().get(SINGLE):
            connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writer else "BEGIN")

    event.listen(engine.sync_engine, "connect", configure)
    event.listen(engine.sync_engine, "begin", begin)
    return engine
