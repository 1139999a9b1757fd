"""Leases: who of several masters does a work, with a token that fences out who did it before."""

import contextlib
import os
import secrets
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final, Protocol

from pydantic import BaseModel
from sqlalchemy import BigInteger, Column, String, Update, update

from headgate.master.ids import SKEW_MS, Clock
from headgate.master.store.database import Database
from headgate.master.store.errors import StoreUnavailableError, TakenError
from headgate.master.store.schema import Tenancy, table, time_column
from headgate.master.store.scope import MASTER
from headgate.master.store.transaction import Transaction

LEASES: Final = table(
    "leases",
    Tenancy.MASTER,
    Column("name", String(200), primary_key=True),
    Column("holder", String(64), nullable=False),
    Column("fence", BigInteger, nullable=False),
    time_column("until_at"),
)


class LostLeaseError(Exception):
    """Another holder has the lease now; the work must stop, and its change was not made."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease that was held when this was made; `fence` grows with each new holder."""

    name: str
    holder: str
    fence: int


class Leases(Protocol):
    """The port: here rows of the database, later other systems. One contract suite holds all."""

    async def acquire(self, name: str, holder: str, ttl_ms: int) -> Lease | None:
        """Returns the lease if it is free or has run out; None while another holder has it."""
        ...

    async def renew(self, lease: Lease, ttl_ms: int) -> bool:
        """Holds it for longer; False if another holder has it now."""
        ...

    async def release(self, lease: Lease) -> None:
        """Gives it back; nothing happens if another holder has it."""
        ...


def new_holder() -> str:
    """Returns a name that this process has among all masters of its database."""
    return f"{socket.gethostname()[:30]}/{os.getpid()}/{secrets.token_hex(4)}"


@contextlib.asynccontextmanager
async def held(leases: Leases, name: str, holder: str, ttl_ms: int) -> AsyncIterator[Lease]:
    """Gives a lease for the block; raises LostLeaseError while another holder, or another block of
    this one, has it."""
    lease = await leases.acquire(name, holder, ttl_ms)
    if lease is None:
        raise LostLeaseError(name)
    try:
        yield lease
    finally:
        with contextlib.suppress(StoreUnavailableError):  # it runs out by itself
            await leases.release(lease)


def is_held(until_at: int, now_ms: int, ttl_ms: int) -> bool:
    """Says whether somebody holds a lease of that length until then. One that ends much later is of
    a clock that was set back: it is free, and the fence stops whoever has it."""
    return now_ms < until_at <= now_ms + ttl_ms + SKEW_MS


class _Row(BaseModel):
    holder: str
    fence: int
    until_at: int


class RowLeases:
    """Leases as rows. Clocks of masters may differ: the fence decides, not the time."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def acquire(self, name: str, holder: str, ttl_ms: int) -> Lease | None:
        """See Leases."""

        async def work(tx: Transaction) -> Lease | None:
            now = self._clock()
            current = await tx.find(_Row, LEASES, LEASES.c.name == name)
            if current is None:
                values = {"holder": holder, "fence": 1, "until_at": now + ttl_ms}
                await tx.insert(LEASES, name=name, **values)
                return Lease(name, holder, 1)
            if is_held(current.until_at, now, ttl_ms):
                return None
            lease = Lease(name, holder, current.fence + 1)
            taken = update(LEASES).where(
                LEASES.c.name == name,
                LEASES.c.fence == current.fence,
                LEASES.c.until_at == current.until_at,
            )
            values = {"holder": holder, "fence": lease.fence, "until_at": now + ttl_ms}
            return lease if await tx.change(taken.values(**values)) else None

        try:
            return await self._database.write(MASTER, work)
        except TakenError:
            return None

    async def renew(self, lease: Lease, ttl_ms: int) -> bool:
        """See Leases."""
        until = self._clock() + ttl_ms

        async def work(tx: Transaction) -> bool:
            return bool(await tx.change(_held(lease).values(until_at=until)))

        return await self._database.write(MASTER, work)

    async def release(self, lease: Lease) -> None:
        """See Leases."""

        async def work(tx: Transaction) -> None:
            await tx.change(_held(lease).values(until_at=0))

        await self._database.write(MASTER, work)


async def require(tx: Transaction, lease: Lease) -> None:
    """Binds a transaction to a lease: it is kept only if nobody else had the lease before its
    end. Raises LostLeaseError."""
    # A change, not a look: the row stays locked until the transaction ends.
    if not await tx.as_master().change(_held(lease).values(holder=lease.holder)):
        raise LostLeaseError(lease.name)


def _held(lease: Lease) -> Update:
    return update(LEASES).where(LEASES.c.name == lease.name, LEASES.c.fence == lease.fence)
