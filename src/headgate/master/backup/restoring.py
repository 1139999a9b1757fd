"""Puts a backup into a database: all of it or nothing, in the schema of its time, then the newest.

What must never repeat goes on above all that was before the backup: the fences of agents' sessions
and of leases. Agents refuse a master whose fence is not newer than the last one they saw.
"""

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from sqlalchemy import MetaData, Table, func, insert, select, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from headgate.master.backup.envelope import records
from headgate.master.backup.records import FORMAT, End, Head, Record, Rows, decoded
from headgate.master.backup.writing import tables
from headgate.master.domains import registry
from headgate.master.domains.rollouts.driver import LEASE, LEASE_MS
from headgate.master.store.errors import StartError
from headgate.master.store.leases import is_held
from headgate.master.store.migrate import VERSIONS, known_schemas, take_turn, upgrade
from headgate.master.store.sealing import VARIABLE, Sealer

_HELD_BY: Final = "leases"


@dataclass(frozen=True, slots=True)
class Order:
    """An order to restore a backup from its file."""

    file: Path
    passphrase: bytes
    is_replacing: bool
    """True if the present contents of the database may be removed."""
    now_ms: int


def head_of(file: Path, passphrase: bytes) -> Head:
    """Returns the head of a backup that this program can restore; raises StartError."""
    with file.open("rb") as opened:
        first = _first(_read(records(opened, passphrase)))
    if first.format != FORMAT or first.schema not in known_schemas():
        raise StartError(
            f"headgate {first.program} wrote this backup, which is newer than this one (schema"
            f" {first.schema}); restore it with that version"
        )
    return first


async def restore(
    engine: AsyncEngine, order: Order, sealer: Sealer, before_commit: Callable[[], object] = int
) -> End:
    """Puts the backup into the database in one transaction; raises StartError.

    `sealer` must have the key of every secret of it.
    """
    try:
        async with engine.begin() as connection:
            end = await connection.run_sync(_restored, order, sealer)
            before_commit()
            return end
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        reason = str(getattr(error, "orig", None) or error).partition("\n")[0]
        raise StartError(f"the backup cannot be restored: {reason}; nothing was changed") from error


def _restored(connection: Connection, order: Order, sealer: Sealer) -> End:
    take_turn(connection)
    if connection.dialect.name == "postgresql":
        _clear(connection, order)
    with order.file.open("rb") as opened:
        rest = _read(records(opened, order.passphrase))
        upgrade(connection, _first(rest).schema)
        by_name = {str(one.name): one for one in tables(connection)}
        end = _filled(connection, by_name, rest)
    upgrade(connection)
    _raise_fences(connection, order.now_ms)
    require_opens(connection, sealer)
    if connection.dialect.name == "postgresql":
        # Autovacuum does it within a minute; until then the planner takes all tables for small.
        connection.execute(text("ANALYZE"))
    return end


def is_empty(connection: Connection) -> bool:
    """Says whether a database holds nothing of a master."""
    return not any(_count(connection, one) for one in tables(connection))


def require_unused(connection: Connection, now_ms: int) -> None:
    """Raises StartError if a master runs on the database: the lease of its rollouts is held."""
    for one in tables(connection):
        if one.name == _HELD_BY:
            until = connection.execute(select(one.c.until_at).where(one.c.name == LEASE)).scalar()
            if until is not None and is_held(until, now_ms, LEASE_MS):
                raise StartError(
                    "a master uses this database; stop every master, wait 15 seconds, and try again"
                )


def _clear(connection: Connection, order: Order) -> None:
    """Makes room in PostgreSQL, where tables go and come in a transaction."""
    require_unused(connection, order.now_ms)
    if not is_empty(connection) and not order.is_replacing:
        raise not_empty()
    found = MetaData()
    found.reflect(connection, only=lambda name, _: name in {*registry.TABLES, VERSIONS})
    found.drop_all(connection)


def not_empty() -> StartError:
    """Returns the error for a master that has data."""
    return StartError(
        "this master has data already; restore into an empty one, or give --replace to remove it"
    )


def require_opens(connection: Connection, sealer: Sealer) -> None:
    """Raises StartError if the sealer has not the key of a secret in the database."""
    for one in tables(connection):
        if "sealed" not in one.c:
            continue
        for sealed in connection.execute(select(one.c.sealed)).scalars():
            if sealed is not None and not sealer.has_key_of(sealed):
                raise StartError(
                    f"the master's key of this backup is missing (of a row of {one.name}); set"
                    f" {VARIABLE} to it"
                )


def _filled(connection: Connection, by_name: dict[str, Table], rest: Iterator[Record]) -> End:
    counts = dict.fromkeys(by_name, 0)
    for record in rest:
        if isinstance(record, End):
            if record.counts != counts:
                raise StartError("the backup does not have the rows that its end says")
            if next(rest, None) is not None:  # reads to the mark that nothing was cut off
                raise StartError("the backup goes on behind its end; use another one")
            return record
        if not isinstance(record, Rows) or record.table not in by_name:
            raise StartError("the backup has a table that its schema has not")
        table = by_name[record.table]
        rows = [dict(zip(record.columns, row, strict=True)) for row in record.rows]
        connection.execute(insert(table), rows)
        counts[record.table] += len(rows)
    raise StartError("the backup has no end; use another one")


def _raise_fences(connection: Connection, now_ms: int) -> None:
    """Makes every fence newer than each one that was given after the backup: they grow by one a
    session, so they never reach the time in milliseconds by themselves."""
    values = {"now": now_ms}
    connection.execute(
        text(
            "UPDATE agents SET fence = CASE WHEN fence < :now THEN :now ELSE fence + 1 END,"
            " connected_at = NULL"
        ),
        values,
    )
    connection.execute(
        text(
            "UPDATE leases SET fence = CASE WHEN fence < :now THEN :now ELSE fence + 1 END,"
            " until_at = 0"
        ),
        values,
    )


def _count(connection: Connection, table: Table) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar() or 0)


def _read(raw: Iterator[bytes]) -> Iterator[Record]:
    for one in raw:
        try:
            yield decoded(one)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise StartError(
                "a newer headgate wrote this backup; restore it with that version"
            ) from error


def _first(found: Iterator[Record]) -> Head:
    first = next(found, None)
    if not isinstance(first, Head):
        raise StartError("this is no backup of a master; name a file of `headgate master backup`")
    return first
