"""The throttle of all masters on a database: failures are rows, of which there are so many at most.

A key is kept as a hash: people type passwords where a name belongs.
"""

import hashlib
from collections.abc import Mapping
from typing import Final

from pydantic import BaseModel
from sqlalchemy import BigInteger, Column, String, delete, select, update

from headgate.master.domains.sessions.throttle import FORGOTTEN_AFTER_MS, PAIR, Limit, wait_of
from headgate.master.ids import Clock
from headgate.master.store.database import Database
from headgate.master.store.errors import TakenError
from headgate.master.store.schema import Tenancy, table
from headgate.master.store.scope import MASTER, Query
from headgate.master.store.transaction import Transaction, columns_of

THROTTLES: Final = table(
    "throttles",
    Tenancy.MASTER,
    Column("key", String(64), primary_key=True),
    Column("failures", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False, index=True),
)
MOST_ROWS: Final = 20_000
_PRUNED: Final = 1_000
"""The number of rows that are removed at once when there are too many; the oldest ones."""


class _Row(BaseModel):
    key: str
    failures: int
    last_at: int


class SharedThrottle:
    """Counts failures by key, for all masters."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def wait_ms(self, keys: Mapping[Limit, str]) -> int:
        """Returns how long the next try must wait; 0 if it may come now."""
        hashed = {_hashed(limit, key): limit for limit, key in keys.items()}
        query = columns_of(THROTTLES, _Row).where(THROTTLES.c.key.in_(sorted(hashed)))
        async with self._database.read(MASTER) as tx:
            rows = await tx.all(_Row, query)
        now = self._clock()
        waits = [wait_of(hashed[one.key], one.failures, one.last_at, now) for one in rows]
        return max(waits, default=0)

    async def failed(self, keys: Mapping[Limit, str]) -> None:
        """Counts a failure for each key."""
        hashed = sorted(_hashed(limit, key) for limit, key in keys.items())
        for _ in range(2):
            try:
                await self._database.write(MASTER, lambda tx: self._count(tx, hashed))
            except TakenError:
                continue  # another master counted the first failure of a key at the same time
            return

    async def passed(self, keys: Mapping[Limit, str]) -> None:
        """Forgets the failures of the pair; the others fade by themselves."""
        pairs = [_hashed(limit, key) for limit, key in keys.items() if limit is PAIR]
        query = columns_of(THROTTLES, _Row).where(THROTTLES.c.key.in_(pairs))
        async with self._database.read(MASTER) as tx:
            if not await tx.all(_Row, query):
                return
        forget = delete(THROTTLES).where(THROTTLES.c.key.in_(pairs))
        await self._database.write(MASTER, lambda tx: tx.change(forget))

    async def _count(self, tx: Transaction, hashed: list[str]) -> None:
        now = self._clock()
        forgotten = now - FORGOTTEN_AFTER_MS
        for key in hashed:
            of_key = update(THROTTLES).where(THROTTLES.c.key == key)
            fresh = of_key.where(THROTTLES.c.last_at >= forgotten)
            more = {"failures": THROTTLES.c.failures + 1, "last_at": now}
            if await tx.change(fresh.values(more)):
                continue
            if not await tx.change(of_key.values(failures=1, last_at=now)):
                await tx.insert(THROTTLES, key=key, failures=1, last_at=now)
        if await tx.count(THROTTLES) > MOST_ROWS:
            oldest: Query = select(THROTTLES.c.key).order_by(THROTTLES.c.last_at).limit(_PRUNED)
            await tx.change(delete(THROTTLES).where(THROTTLES.c.key.in_(await tx.texts(oldest))))


def _hashed(limit: Limit, key: str) -> str:
    """Returns the row's key: of one limit and one name."""
    text = f"{limit.free} {limit.longest_ms} {key}"
    return hashlib.sha256(text.encode()).hexdigest()
