"""What every implementation of leases must do; here rows of both databases."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

import asyncpg
import loops
import pytest
from master_world import World, opened
from postgres import Postgres
from postgres_relay import Relay
from sqlalchemy import func, select

from headgate.master.ids import SKEW_MS
from headgate.master.store import opening
from headgate.master.store.abandoned import end_abandoned
from headgate.master.store.database import Database
from headgate.master.store.errors import StoreUnavailableError
from headgate.master.store.leases import LEASES, Lease, LostLeaseError, RowLeases, require
from headgate.master.store.opening import Place
from headgate.master.store.scope import MASTER
from headgate.master.store.transaction import Transaction

TTL_MS = 10_000


def acquire(world: World, holder: str) -> Lease | None:
    return world.runner.run(world.master.leases.acquire("rollout", holder, TTL_MS))


def taken(world: World, holder: str) -> Lease:
    lease = acquire(world, holder)
    assert lease is not None
    return lease


def test_one_holder_at_a_time(world: World) -> None:
    assert taken(world, "a").fence == 1
    assert acquire(world, "b") is None
    assert acquire(world, "a") is None
    assert world.runner.run(world.master.leases.acquire("other", "b", TTL_MS)) is not None


def test_a_lease_that_ran_out_goes_to_another_with_a_higher_fence(world: World) -> None:
    old = taken(world, "a")
    world.advance(ms=TTL_MS)
    new = taken(world, "b")
    assert (new.holder, new.fence) == ("b", old.fence + 1)
    assert not world.runner.run(world.master.leases.renew(old, TTL_MS))
    world.runner.run(world.master.leases.release(old))
    assert acquire(world, "c") is None


def test_a_lease_of_a_clock_that_was_ahead_is_free(world: World) -> None:
    old = taken(world, "a")
    world.advance(ms=-SKEW_MS)  # as much as clocks of masters may differ
    assert acquire(world, "b") is None
    world.advance(hours=-1)
    assert taken(world, "b").fence == old.fence + 1
    assert not world.runner.run(world.master.leases.renew(old, TTL_MS))


def test_a_renewed_lease_lasts(world: World) -> None:
    lease = taken(world, "a")
    world.advance(ms=TTL_MS - 1)
    assert world.runner.run(world.master.leases.renew(lease, TTL_MS))
    world.advance(ms=TTL_MS - 1)
    assert acquire(world, "b") is None


def test_a_lease_given_back_is_free_at_once(world: World) -> None:
    lease = taken(world, "a")
    world.runner.run(world.master.leases.release(lease))
    assert taken(world, "b").fence == lease.fence + 1


def test_who_lost_the_lease_writes_nothing(world: World) -> None:
    old = taken(world, "a")

    async def work(tx: Transaction) -> None:
        await require(tx, old)

    world.runner.run(world.database.write(MASTER, work))
    world.advance(ms=TTL_MS)
    taken(world, "b")
    with pytest.raises(LostLeaseError):
        world.runner.run(world.database.write(MASTER, work))


def test_of_many_that_ask_at_once_one_gets_it(world: World) -> None:
    async def together() -> list[Lease | None]:
        return await asyncio.gather(
            *(world.master.leases.acquire("rollout", f"m{n}", TTL_MS) for n in range(8))
        )

    for _ in range(3):
        assert sum(lease is not None for lease in world.runner.run(together())) == 1
        world.advance(ms=TTL_MS)


class Cut(NamedTuple):
    """Two masters' views of one database; the network of the first, which has the lease, ends."""

    relay: Relay
    direct: str
    first: Database
    second: Database
    held: Lease

    async def is_taken_over(self) -> None:
        """Waits until the second one has the lease, whose time has passed."""
        leases = RowLeases(self.second, lambda: TTL_MS)
        other = await leases.acquire("rollouts", "b", TTL_MS)
        assert other is not None
        assert other.fence == self.held.fence + 1


Play = Callable[[Callable[[Cut], Awaitable[None]], float], None]


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Play]:
    """Plays a scene; the first master gives a statement up after so many seconds."""
    cluster = Postgres()
    direct = cluster.database()

    async def played(relay: Relay, scene: Callable[[Cut], Awaitable[None]], first_s: float) -> None:
        async with AsyncExitStack() as stack:
            databases = []
            for url, command_s in ((relay.url(direct), first_s), (direct, 20.0)):
                monkeypatch.setattr(opening, "COMMAND_S", command_s)
                databases.append(await opened(Place(tmp_path, url), lambda: 0))
                stack.push_async_callback(databases[-1].close)
            first, second = databases
            # By the other's connection: the first one has so little time for each step.
            held = await RowLeases(second, lambda: 0).acquire("rollouts", "a", TTL_MS)
            assert held is not None
            stack.callback(relay.mend)
            await scene(Cut(relay, direct, first, second, held))

    with Relay(cluster.folder) as relay:
        yield lambda scene, first_s: loops.run(played(relay, scene, first_s))
    cluster.close()


def test_who_is_cut_off_amid_a_change_does_not_keep_the_lease_for_ever(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL would hold the row for as long as it takes the network to tell: two hours."""

    async def scene(cut: Cut) -> None:
        # Of the first one's connections alone, which begin now: migrations may take longer.
        monkeypatch.setattr(opening, "_IDLE_S", 0.5)
        is_locked, goes_on = asyncio.Event(), asyncio.Event()

        async def work(tx: Transaction) -> None:
            await require(tx, cut.held)
            is_locked.set()
            await goes_on.wait()

        stuck = asyncio.create_task(cut.first.write(MASTER, work))
        await is_locked.wait()
        cut.relay.cut()
        await cut.is_taken_over()
        cut.relay.mend()
        goes_on.set()
        with pytest.raises(StoreUnavailableError):
            await stuck

    play(scene, 20.0)


@pytest.mark.parametrize("last", ["repeat(", "the cut"], ids=["its preparation", "its values"])
def test_who_is_cut_off_within_a_statement_does_not_keep_the_lease_for_ever(
    play: Play, last: str
) -> None:
    """PostgreSQL waits for the values of a statement, or for room for its rows, and takes its
    transaction for one at work, which `idle_in_transaction_session_timeout` does not end."""

    async def scene(cut: Cut) -> None:
        async def work(tx: Transaction) -> None:
            await require(tx, cut.held)
            cut.relay.cut_after(last)
            for values in ("a look", "the cut"):
                await tx.texts(select(func.repeat(LEASES.c.name + values, 1_000_000)))

        # A dump of the database, say: the same user, but no master.
        person = await asyncpg.connect(cut.direct)
        begun = person.transaction()
        await begun.start()
        prepared = await person.prepare("SELECT 1")
        with pytest.raises(StoreUnavailableError):
            await cut.first.write(MASTER, work)
        ending = asyncio.create_task(end_abandoned(cut.second, 1.0))
        await cut.is_taken_over()
        ending.cancel()
        await asyncio.wait([ending])
        assert await prepared.fetchval() == 1
        await begun.rollback()
        await person.close()

    play(scene, 1.0)
