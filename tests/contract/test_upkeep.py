"""Upkeep removes what ended long ago, in small steps, and nothing that still counts."""

import asyncio

import pytest
from master_world import PASSWORD, World
from sqlalchemy import Table

from headgate.master import upkeep
from headgate.master.domains.audit.store import AUDIT, Event, record
from headgate.master.domains.join_tokens.store import JOIN_TOKENS
from headgate.master.domains.sessions.store import LINKS, REFRESH_TOKENS, SESSIONS
from headgate.master.domains.tokens.store import TOKENS
from headgate.master.store.leases import RowLeases
from headgate.master.store.scope import MASTER
from headgate.master.store.transaction import Transaction

_LOGIN = {"name": "ann", "password": PASSWORD}


def keeper(world: World, audit_days: int = 400, holder: str = "one") -> upkeep.Upkeep:
    leases = RowLeases(world.database, lambda: world.now_ms)
    kept = upkeep.World(world.database, leases, lambda: world.now_ms, holder)
    return upkeep.Upkeep(kept, upkeep.rules(audit_days))


def once(world: World, audit_days: int = 400) -> None:
    assert world.runner.run(keeper(world, audit_days).once())


def rows(world: World, source: Table) -> int:
    async def count() -> int:
        async with world.database.read(MASTER) as tx:
            return await tx.count(source)

    return world.runner.run(count())


def test_sessions_go_with_their_tokens_a_week_after_their_end(world: World) -> None:
    world.set_up()
    opened = world.ask("POST", "/auth/login", _LOGIN)
    following = world.ask("POST", "/auth/refresh", {"refresh_token": opened["refresh_token"]})
    assert (rows(world, SESSIONS), rows(world, REFRESH_TOKENS), rows(world, LINKS)) == (2, 3, 1)

    world.advance(hours=24 * 36)
    once(world)
    assert (rows(world, SESSIONS), rows(world, REFRESH_TOKENS), rows(world, LINKS)) == (2, 3, 0)

    world.advance(hours=24 * 2)
    once(world)
    assert (rows(world, SESSIONS), rows(world, REFRESH_TOKENS)) == (0, 0)
    gone = world.ask("POST", "/auth/refresh", {"refresh_token": following["refresh_token"]})
    assert gone.status == 401


def test_a_session_that_is_open_keeps_what_shows_that_a_token_was_used_twice(world: World) -> None:
    world.set_up()
    first = world.ask("POST", "/auth/login", _LOGIN)["refresh_token"]
    second = world.ask("POST", "/auth/refresh", {"refresh_token": first})["refresh_token"]
    world.advance(hours=24 * 20)
    once(world)
    assert world.ask("POST", "/auth/refresh", {"refresh_token": first}).status == 401
    assert world.ask("POST", "/auth/refresh", {"refresh_token": second}).status == 401


def test_tokens_go_when_they_have_been_bad_for_long(world: World) -> None:
    admin = world.set_up()
    fleet = world.ask("POST", "/workspaces/default/fleets", {"name": "edge"}, admin)
    assert fleet.status == 201, fleet.text
    for name, days in {"short": 1, "long": 300}.items():
        body = {"name": name, "role": "viewer", "days": days}
        made = world.ask("POST", "/tokens", body, admin)
        assert made.status == 201, made.text
    body = {"fleet": "edge", "hours": 1}
    made = world.ask("POST", "/workspaces/default/join-tokens", body, admin)
    assert made.status == 201, made.text

    world.advance(hours=24 * 100)
    once(world)

    assert (rows(world, TOKENS), rows(world, JOIN_TOKENS)) == (1, 0)


def test_the_audit_log_is_kept_for_as_long_as_was_asked(world: World) -> None:
    world.set_up()
    world.advance(hours=24 * 31)
    world.ask("POST", "/auth/login", _LOGIN)
    before = rows(world, AUDIT)
    once(world, audit_days=32)
    assert rows(world, AUDIT) == before
    once(world, audit_days=30)
    assert 0 < rows(world, AUDIT) < before


def test_many_rows_go_in_several_transactions(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "AT_ONCE", 10)
    sizes: list[int] = []
    forget = Transaction.forget

    async def noted(tx: Transaction, source: Table, *where: object, most: int) -> int:
        found = await forget(tx, source, *where, most=most)  # type: ignore[arg-type]
        if source is AUDIT:
            sizes.append(found)
        return found

    async def fill(tx: Transaction) -> None:
        for _ in range(25):
            await record(tx, Event("", "something happened"), world.now_ms)

    world.runner.run(world.database.write(MASTER, fill))
    world.advance(hours=24 * 401)
    monkeypatch.setattr(Transaction, "forget", noted)
    once(world)
    assert sizes == [10, 10, 5]
    assert rows(world, AUDIT) == 0


def test_what_cannot_be_removed_keeps_nothing_else(world: World) -> None:
    world.set_up()
    world.ask("POST", "/auth/login", _LOGIN)
    world.advance(days=40)

    async def fails(tx: Transaction, before_ms: int, most: int) -> int:
        raise RuntimeError("nobody expected this")

    kept = keeper(world)
    kept._rules = (upkeep.Rule("this", 1, fails), *kept._rules)
    assert world.runner.run(kept.once())
    assert rows(world, SESSIONS) == 0
    assert kept._swept_at == world.now_ms


def test_one_master_at_a_time_does_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def both() -> list[bool]:
        first, second = keeper(world), keeper(world, holder="two")
        begun, may_end = asyncio.Event(), asyncio.Event()

        async def waits(_rule: upkeep.Rule) -> None:
            begun.set()
            await may_end.wait()

        monkeypatch.setattr(first, "_try", waits)
        running = asyncio.create_task(first.once())
        await begun.wait()
        was_second = await second.once()
        may_end.set()
        return [await running, was_second]

    assert world.runner.run(both()) == [True, False]
    once(world)
