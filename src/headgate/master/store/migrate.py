"""Brings a database to the schema of this version, after a copy of what it holds."""

import sqlite3
from pathlib import Path
from typing import Final

import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from headgate.master.store.copies import FOLDER, Copy, forget_older
from headgate.master.store.errors import StartError

_SCRIPTS: Final = Path(__file__).parent / "migrations"
VERSIONS: Final = "alembic_version"
"""The table that names the schema."""
_TURN: Final = 0x68656164
"""The number of the lock, in PostgreSQL, under which a database is migrated or restored."""


def config() -> Config:
    """Returns alembic's configuration; no file holds it."""
    found = Config()
    found.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    return found


async def migrate(engine: AsyncEngine, copy: Copy) -> None:
    """Brings the database to the newest schema; raises StartError if that cannot be.

    `copy` copies it before any change; it is not called for one that is new or needs no change.
    """
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_refuse_newer)
            if not await connection.run_sync(_is_behind):
                return
            is_new = await connection.run_sync(schema_of) is None
        failed = None if is_new else await _kept(copy)
        async with engine.begin() as connection:
            await connection.run_sync(_brought_up, failed)
    except (SQLAlchemyError, OSError, sqlite3.Error) as error:
        reason = str(getattr(error, "orig", None) or error).partition("\n")[0]
        raise StartError(f"the database cannot be opened: {reason}; see DATABASE_URL") from error


def _brought_up(connection: Connection, failed: StartError | None) -> None:
    """Migrates the database, unless another master has meanwhile, which then made its own copy.

    `failed`: the reason why there is no copy.
    """
    take_turn(connection)
    _refuse_newer(connection)
    if _is_behind(connection):
        if failed is not None:
            raise failed
        upgrade(connection)


def take_turn(connection: Connection) -> None:
    """Waits until nobody else changes or copies the whole database; holds to the end of the
    transaction. SQLite has the lock of its directory."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_TURN})"))


def may_copy(connection: Connection) -> bool:
    """Says whether nobody changes the whole database now; nobody then does until the end of the
    transaction."""
    if connection.dialect.name != "postgresql":
        return True
    found = connection.execute(text(f"SELECT pg_try_advisory_xact_lock_shared({_TURN})"))
    return bool(found.scalar())


async def _kept(copy: Copy) -> StartError | None:
    """Makes the copy and forgets the oldest ones; returns the error if that cannot be."""
    try:
        made = await copy()
        forget_older(made.parent)
    except (OSError, sqlite3.Error, StartError) as error:
        return StartError(
            "the database is of an older headgate and was not migrated, since no copy can be made"
            f" before: {error}; the copy goes into {FOLDER}/ of the --data directory"
        )
    structlog.get_logger().info("the database was copied before its migration", file=str(made))
    return None


def upgrade(connection: Connection, schema: str = "head") -> None:
    """Brings a database to a schema, within the connection's transaction."""
    found = config()
    found.attributes["connection"] = connection
    command.upgrade(found, schema)


def known_schemas() -> frozenset[str]:
    """Returns the schemas that this version knows."""
    scripts = ScriptDirectory.from_config(config())
    return frozenset(one.revision for one in scripts.walk_revisions())


def schema_of(connection: Connection) -> str | None:
    """Returns the schema of a database; None for one that is empty."""
    return MigrationContext.configure(connection).get_current_revision()


def _is_behind(connection: Connection) -> bool:
    return schema_of(connection) != ScriptDirectory.from_config(config()).get_current_head()


def _refuse_newer(connection: Connection) -> None:
    current = schema_of(connection)
    if current is not None and current not in known_schemas():
        raise StartError(
            f"a newer headgate wrote the database (schema {current}); start that version, or"
            " restore a backup of this one"
        )
