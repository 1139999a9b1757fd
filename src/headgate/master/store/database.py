"""The two databases behind one face: transactions that read, and one queue of those that write.

SQLite has one writer task on one connection; all others only read. PostgreSQL takes writers side
by side. A transaction that began is finished even if its caller has left.
"""

import asyncio
import contextlib
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Final, TypeVar

import asyncpg
from sqlalchemy import event, exc, text
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.sql import ClauseElement

from headgate.kernel.durations import Durations
from headgate.master.store.errors import (
    QueueFullError,
    RefusedError,
    StoreUnavailableError,
    TakenError,
    TenancyError,
)
from headgate.master.store.scope import Scope
from headgate.master.store.transaction import GATED, Transaction

T = TypeVar("T")
Work = Callable[[Transaction], Awaitable[T]]

MOST_WAITING = 1_000
"""Writes that may wait for SQLite's writer; the next ones are refused."""

SINGLE: Final = "headgate_single"
"""The option of SQLite's connections that begin no transaction."""

_TRIES = 5
_LEAVE_S = 10.0
"""The time that closing waits for reads under way. A task that is cancelled in one while its
connection closes may wait for ever for an answer of the driver."""
_RETRIED = {"40001", "40P01"}
"""PostgreSQL's serialization failure and deadlock: the transaction did nothing, and may repeat."""


class Writes:
    """The outcomes of transactions that write, with the time that each took, waiting included."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter(done=0, undone=0, failed=0, refused=0)
        self.durations = Durations()

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        """Counts one."""
        began = time.monotonic()
        try:
            yield
        except QueueFullError:
            self.outcomes["refused"] += 1
            raise
        except (StoreUnavailableError, TenancyError):
            self.outcomes["failed"] += 1
            raise
        except Exception:  # what the work itself raised, such as a conflict: nothing is wrong
            self.outcomes["undone"] += 1
            raise
        self.outcomes["done"] += 1
        self.durations.record(time.monotonic() - began)


class Database:
    """A database that has been opened and migrated. Belongs to one event loop."""

    def __init__(self, reader: AsyncEngine, writer: AsyncEngine, *, is_sqlite: bool) -> None:
        self._reader = reader
        self._single = reader.execution_options(**{SINGLE: True})
        self._writer = writer
        self.is_sqlite = is_sqlite
        self._jobs: asyncio.Queue[Callable[[], Awaitable[None]]] = asyncio.Queue(MOST_WAITING)
        self._task: asyncio.Task[None] | None = None
        self._running: set[asyncio.Future[object]] = set()
        self._reads = 0
        self._has_no_reads = asyncio.Event()
        self._has_no_reads.set()
        self.writes = Writes()
        # Of PostgreSQL, both are one engine, and the reader hears what the writer does.
        for engine in {reader, writer} if is_sqlite else {writer}:
            event.listen(engine.sync_engine, "before_execute", _refuse_ungated)

    def start(self) -> None:
        """Starts the writer task of SQLite."""
        if self.is_sqlite:
            self._task = asyncio.create_task(self._write_in_turn(), name="writer")

    async def close(self) -> None:
        """Finishes the writes that wait and the reads under way, then closes every connection."""
        if self._task is not None:
            await self._jobs.join()
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._running:
            await asyncio.wait(self._running)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LEAVE_S):
                await self._has_no_reads.wait()
        await self._reader.dispose()
        await self._writer.dispose()

    @contextlib.asynccontextmanager
    async def read(self, scope: Scope) -> AsyncIterator[Transaction]:
        """Gives a transaction that only reads; raises StoreUnavailableError."""
        async with self._connected(self._reader, scope) as tx:
            yield tx

    @contextlib.asynccontextmanager
    async def look(self, scope: Scope) -> AsyncIterator[Transaction]:
        """The same for one statement, which needs no transaction to see one state of things:
        SQLite is spared the trips to its beginning and end."""
        async with self._connected(self._single, scope) as tx:
            yield tx

    @contextlib.asynccontextmanager
    async def _connected(self, engine: AsyncEngine, scope: Scope) -> AsyncIterator[Transaction]:
        with _explained(), self._reading():
            async with engine.connect() as connection:
                yield Transaction(connection, scope)

    async def ping(self) -> None:
        """Asks the database for nothing; raises StoreUnavailableError."""
        await self.numbers("SELECT 1")

    async def numbers(self, statement: str, **values: object) -> list[int]:
        """Asks the database about itself, not about anybody's rows, and returns the first column;
        raises StoreUnavailableError."""
        with _explained(), self._reading():
            async with self._single.connect() as connection:
                found = await connection.execute(text(statement), values, execution_options=GATED)
                return [int(value) for value in found.scalars()]

    async def write(self, scope: Scope, work: Work[T]) -> T:
        """Carries out `work` in one transaction, whole or not at all, and returns its result.

        Once this returns, the change is on disk. Raises StoreUnavailableError and TakenError.
        """
        with self.writes.counted():
            return await self._carried(scope, work)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        self._reads += 1
        self._has_no_reads.clear()
        try:
            yield
        finally:
            self._reads -= 1
            if not self._reads:
                self._has_no_reads.set()

    @property
    def waiting(self) -> int:
        """The number of writes that wait or are under way."""
        return self._jobs.qsize() + len(self._running)

    async def _carried(self, scope: Scope, work: Work[T]) -> T:
        if self.is_sqlite:
            return await self._queued(scope, work)
        task: asyncio.Task[T] = asyncio.create_task(self._repeated(scope, work))
        self._running.add(task)  # type: ignore[arg-type] # only waited for
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def _queued(self, scope: Scope, work: Work[T]) -> T:
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        async def carried_out() -> None:
            try:
                done.set_result(await self._once(scope, work))
            except Exception as error:
                done.set_exception(error)
                done.exception()  # its caller may have left

        try:
            self._jobs.put_nowait(carried_out)
        except asyncio.QueueFull:
            raise QueueFullError("too many writes wait for the database") from None
        return await asyncio.shield(done)

    async def _write_in_turn(self) -> None:
        while True:
            carry_out = await self._jobs.get()
            try:
                await carry_out()
            finally:
                self._jobs.task_done()

    async def _repeated(self, scope: Scope, work: Work[T]) -> T:
        for _ in range(_TRIES - 1):
            try:
                return await self._once(scope, work)
            except StoreUnavailableError as error:
                if _sqlstate(error.__cause__) not in _RETRIED:
                    raise
        return await self._once(scope, work)

    async def _once(self, scope: Scope, work: Work[T]) -> T:
        with _explained():
            async with self._writer.begin() as connection:
                return await work(Transaction(connection, scope))


def _refuse_ungated(
    _connection: Connection,
    _clause: ClauseElement,
    _many: object,
    _values: object,
    options: Mapping[str, object],
) -> None:
    if not options.get("headgate_gated"):
        raise TenancyError("a statement reached the database without passing the tenancy gate")


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Turns what drivers raise into what callers can act on."""
    try:
        yield
    except exc.IntegrityError as error:
        raise TakenError(str(error.orig)) from error
    except (exc.DBAPIError, exc.TimeoutError, OSError, asyncpg.PostgresError) as error:
        kind = RefusedError if _is_refusal(error) else StoreUnavailableError
        raise kind(_reason(error)) from error
    except OverflowError as error:  # as SQLite's driver says it
        raise RefusedError(str(error)) from error
    except sqlite3.Error as error:
        raise StoreUnavailableError(str(error)) from error


def _reason(error: BaseException) -> str:
    """Returns the driver's own words, without the statement and its values."""
    original = getattr(error, "orig", None)
    return str(original or error).partition("\n")[0] or "it does not answer"


def _is_refusal(error: BaseException) -> bool:
    """Says whether the fault is in a value: of PostgreSQL's class 22, or found by its driver."""
    if (_sqlstate(error) or "").startswith("22"):
        return True
    original = getattr(error, "orig", None)
    return isinstance(getattr(original, "__cause__", None), ValueError)


def _sqlstate(error: BaseException | None) -> str | None:
    original = getattr(error, "orig", None)
    return getattr(original, "sqlstate", None)
