"""The driver of SQLite with one trip to its thread for each statement.

As SQLAlchemy drives aiosqlite, a statement takes four: for a cursor, the statement, its rows and
the end of the cursor. Each wakes the thread and then the loop, which takes longer than most
statements.
"""

import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import aiosqlite
from sqlalchemy.dialects.sqlite.aiosqlite import (
    AsyncAdapt_aiosqlite_connection,
    AsyncAdapt_aiosqlite_cursor,
    AsyncAdapt_aiosqlite_dbapi,
)
from sqlalchemy.util.concurrency import await_

Carry = Callable[[sqlite3.Cursor], object]


@dataclass(slots=True)
class _Done:
    """The state of a cursor's statement once all rows were read, and before the first one."""

    description: Any = None
    rowcount: int = -1
    lastrowid: int | None = None
    arraysize: int = 1

    def close(self) -> None:
        """Nothing is open."""


class _Cursor(AsyncAdapt_aiosqlite_cursor):
    __slots__ = ()
    _awaitable_cursor_close = False

    def _make_new_cursor(self, _connection: object) -> Any:
        return _Done()

    def _aenter_cursor(self, cursor: Any) -> Any:
        return cursor

    async def _execute_async(self, operation: str, parameters: Any | None) -> None:
        values = () if parameters is None else parameters
        await self._carried(lambda cursor: cursor.execute(operation, values))

    async def _executemany_async(self, operation: str, rows: Any) -> None:
        await self._carried(lambda cursor: cursor.executemany(operation, rows))

    async def _carried(self, carry: Carry) -> None:
        connection: Any = self._connection
        async with self._adapt_connection._execute_mutex:
            found = await connection._execute(_carried_out, connection._conn, carry)
        self._cursor, rows = found
        self._rows = deque(rows)


def _carried_out(connection: sqlite3.Connection, carry: Carry) -> tuple[_Done, Sequence[Any]]:
    """Carries out a statement in the thread of the connection."""
    cursor = connection.cursor()
    try:
        carry(cursor)
        rows = cursor.fetchall() if cursor.description else ()
        return _Done(cursor.description, cursor.rowcount, cursor.lastrowid), rows
    finally:
        cursor.close()


class _Connection(AsyncAdapt_aiosqlite_connection):
    __slots__ = ()
    _cursor_cls = _Cursor

    def rollback(self) -> None:
        """Undoes what was begun; where nothing was, there is no trip. A connection whose statement
        was left under way is not used again, so that none can begin something later."""
        connection: Any = self._connection
        if connection._connection and connection.in_transaction:
            super().rollback()


class Driver(AsyncAdapt_aiosqlite_dbapi):
    """The driver that `create_async_engine` takes as `module`."""

    def __init__(self) -> None:
        super().__init__(aiosqlite, sqlite3)

    def connect(self, *arg: Any, **kw: Any) -> AsyncAdapt_aiosqlite_connection:
        """Returns a connection, with a thread that does not keep the process."""
        connection: Any = aiosqlite.connect(*arg, **kw)
        connection._thread.daemon = True
        return _Connection(self, await_(connection))
