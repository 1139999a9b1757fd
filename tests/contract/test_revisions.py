"""Revisions are numbered, signed, and never changed; both databases."""

import asyncio

from master_world import LISTENER, ROUTE, UPSTREAM, World

from headgate.fleet.manifest import address, parse, resource_bytes
from headgate.fleet.signing import manifest_is_signed
from headgate.master.access import Caller
from headgate.master.domains.revisions import service, store
from headgate.master.domains.revisions.signing import public_keys
from headgate.master.domains.revisions.types import Revision
from headgate.master.store.scope import Scope
from headgate.master.store.transaction import Transaction

FILES = {
    "listeners/web.json": resource_bytes(LISTENER),
    "routes/api.json": resource_bytes(ROUTE),
    "upstreams/api.json": resource_bytes(UPSTREAM),
    "secrets/web.key": b"very secret",
}
FLEET = "0" * 26
SCOPE = Scope("o" * 26, "w" * 26)


def publish(world: World, files: dict[str, bytes], scope: Scope = SCOPE) -> Revision:
    world.advance(ms=1)
    order = service.Order(FLEET, Caller(id="u", name="ann"), "why", world.now_ms)

    async def work(tx: Transaction) -> Revision:
        return await service.publish(tx, order, service.Made(files), world.master.sealer)

    return world.runner.run(world.database.write(scope, work))


def test_a_revision_is_signed_and_holds_what_was_published(world: World) -> None:
    made = publish(world, FILES)

    async def look() -> None:
        sealer = world.master.sealer
        async with world.database.read(SCOPE) as tx:
            signed = await store.manifest(tx, made.id)
            assert signed is not None
            keys = await public_keys(tx)
            assert manifest_is_signed(keys, signed.manifest, signed.signature)
            assert address(signed.manifest) == made.hash
            listed = parse(signed.manifest)
            assert (listed.scope, listed.revision) == (FLEET, 1)
            assert await service.contents_of(tx, signed, sealer) == FILES
            sealed = await store.blobs(tx, [address(b"very secret")])
            assert all(one.content is None for one in sealed.values())

    world.runner.run(look())


def test_an_object_with_the_bytes_of_a_secret_file_is_shown(world: World) -> None:
    twin = FILES | {"secrets/twin": FILES["routes/api.json"]}
    shown = [publish(world, files).id for files in (twin, FILES)]

    async def look(revision: str) -> list[dict[str, object]]:
        async with world.database.read(SCOPE) as tx:
            found = await service.config(tx, revision, world.master.sealer)
            return [one.spec for one in found.resources]

    for one in shown:
        assert world.runner.run(look(one)) == [LISTENER, ROUTE, UPSTREAM]


def test_numbers_grow_and_old_revisions_stay(world: World) -> None:
    first = publish(world, FILES)
    second = publish(world, {"routes/api.json": FILES["routes/api.json"]})
    third = publish(world, FILES)
    assert [one.number for one in (first, second, third)] == [1, 2, 3]
    assert len({first.hash, second.hash, third.hash}) == 3

    async def look() -> list[str]:
        async with world.database.read(SCOPE) as tx:
            found = await service.detail(tx, second.id)
            return [one.path for one in found.entries]

    assert world.runner.run(look()) == ["routes/api.json"]


def test_another_workspace_sees_neither_revision_nor_content(world: World) -> None:
    made = publish(world, FILES)

    async def look() -> None:
        sealer = world.master.sealer
        async with world.database.read(Scope("o" * 26, "x" * 26)) as tx:
            assert await store.manifest(tx, made.id) is None
            assert await service.blob(tx, address(b"very secret"), sealer) is None
        async with world.database.read(SCOPE) as tx:
            assert await service.blob(tx, address(b"very secret"), sealer) == b"very secret"

    world.runner.run(look())


def test_who_publishes_at_the_same_time_gets_numbers_of_their_own(world: World) -> None:
    async def one(number: int) -> int:
        order = service.Order(FLEET, Caller(id="u"), "", world.now_ms)
        files = {"routes/api.json": b'{"n":%d}' % number}

        async def work(tx: Transaction) -> Revision:
            return await service.publish(tx, order, service.Made(files), world.master.sealer)

        try:
            return (await world.database.write(SCOPE, work)).number
        except Exception as error:
            assert "at the same time" in str(error), error
            return 0

    async def together() -> list[int]:
        return await asyncio.gather(*(one(number) for number in range(8)))

    publish(world, FILES)
    numbers = [number for number in world.runner.run(together()) if number]
    assert numbers
    assert sorted(numbers) == list(range(2, 2 + len(numbers)))
