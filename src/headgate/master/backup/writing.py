"""Writes a backup from one view of the database, while masters run on it."""

import os
import secrets
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import IO, Final, NamedTuple

from sqlalchemy import MetaData, Table, select
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from headgate.kernel.files import sync_folder
from headgate.master.backup.envelope import Writer
from headgate.master.backup.records import FORMAT, End, Head, Rows, encoded
from headgate.master.domains import registry
from headgate.master.ids import Clock
from headgate.master.store.errors import StartError
from headgate.master.store.migrate import may_copy, schema_of
from headgate.master.store.sealing import VARIABLE, Sealer

_ROWS: Final = 200
_BYTES: Final = 4 << 20
_SEALED: Final = "sealed"


class Keys(NamedTuple):
    """The master's keys: the text that the backup gets, None for none, their sealer, and where
    they are from."""

    text: str | None
    sealer: Sealer
    where: str


async def back_up(
    engine: AsyncEngine,
    target: Path,
    passphrase: bytes,
    head: tuple[str, Callable[[], Keys], Clock],
) -> End:
    """Writes the database into a new file, mode 0600, durable on return; raises StartError, also
    if a secret there is sealed with another key than the master's.

    `head`: the version of headgate, what reads the master's keys, and the clock.
    """
    part = target.with_name(f".{target.name}.part")
    try:
        _require_new(target)  # before the work; the link sees to it, too
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(part, flags, 0o600), "wb") as file:
            writer = Writer(file, passphrase, secrets.token_bytes(16))
            end = await _written(engine, writer, head)
            _sync(file)
        os.link(part, target)  # unlike a rename, this replaces nothing
        sync_folder(target.parent)
    except FileExistsError as error:
        raise StartError(f"{target} exists already; name a new file") from error
    except (OSError, SQLAlchemyError, sqlite3.Error) as error:
        reason = str(getattr(error, "orig", None) or error).partition("\n")[0]
        raise StartError(f"the backup cannot be written: {reason}; nothing was kept") from error
    finally:
        part.unlink(missing_ok=True)
    return end


async def _written(
    engine: AsyncEngine, writer: Writer, head: tuple[str, Callable[[], Keys], Clock]
) -> End:
    program, read_keys, clock = head
    counts: dict[str, int] = {}
    async with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            # One view for all tables; SQLite's transactions have that anyway.
            await connection.execution_options(isolation_level="REPEATABLE READ")
        if not await connection.run_sync(may_copy):
            raise StartError("the database is being migrated; try again when a master serves it")
        schema = await connection.run_sync(schema_of)
        if schema is None:
            raise StartError("there is no master's database here; nothing was written")
        keys = read_keys()  # after the view began: a key is in its file before it seals
        writer.write(encoded(Head(FORMAT, program, schema, clock(), keys.text)))
        for table in await connection.run_sync(tables):
            counts[str(table.name)] = 0
            if table.name in registry.PASSING:
                continue
            async for rows in _rows(connection, table):
                _require_keys(rows, keys)
                writer.write(encoded(rows))
                counts[str(table.name)] += len(rows.rows)
    end = End(counts)
    writer.write(encoded(end))
    writer.close()
    return end


async def _rows(connection: AsyncConnection, table: Table) -> AsyncIterator[Rows]:
    columns = tuple(str(one.name) for one in table.columns)
    waiting: list[tuple[object, ...]] = []
    size = 0
    result = await connection.stream(select(table))
    async for row in result:
        waiting.append(tuple(row))
        size += sum(len(one) for one in row if isinstance(one, str | bytes))
        if len(waiting) >= _ROWS or size >= _BYTES:
            yield Rows(str(table.name), columns, tuple(waiting))
            waiting, size = [], 0
    if waiting:
        yield Rows(str(table.name), columns, tuple(waiting))


def _require_keys(rows: Rows, keys: Keys) -> None:
    """Raises StartError if a secret of the rows is sealed with another key."""
    if _SEALED not in rows.columns:
        return
    at = rows.columns.index(_SEALED)
    if not all(one[at] is None or keys.sealer.has_key_of(str(one[at])) for one in rows.rows):
        raise StartError(
            f"secrets (of {rows.table}) are sealed with a key that is not in {keys.where}; name"
            f" the master's directory with --data, or set {VARIABLE} to its key"
        )


def tables(connection: Connection) -> list[Table]:
    """Returns our tables that there are, with the columns that they have there: the database may
    be of an older schema than this program's."""
    found = MetaData()
    found.reflect(connection, only=lambda name, _: name in registry.TABLES)
    return found.sorted_tables


def _require_new(target: Path) -> None:
    if target.exists():
        raise FileExistsError(target)


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())
