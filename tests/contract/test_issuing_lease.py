"""The fleet's authorities and the master's key change under a lease: of two masters on a database
the one that lost it changes nothing, and what either of them issues counts; both databases."""

import asyncio

import pytest
from cryptography import x509
from master_world import Answer, World
from said_agent import W
from sqlalchemy import delete

from headgate.certificates.authority import new_csr, new_key
from headgate.certificates.rotation import Authorities
from headgate.master.api.problems import ProblemError
from headgate.master.domains.enrolment import authority as authorities
from headgate.master.domains.enrolment.authority import LEASE, LEASE_MS
from headgate.master.domains.enrolment.store import AUTHORITIES
from headgate.master.domains.revisions.store import MANIFEST_KEYS
from headgate.master.domains.rotation import authority as rotation
from headgate.master.domains.rotation import keys
from headgate.master.domains.rotation.types import AuthorityStatus, RotationStep
from headgate.master.fleet.book import AgentFacts
from headgate.master.services import Master, assembled
from headgate.master.store.errors import StartError
from headgate.master.store.leases import Lease, LostLeaseError, held
from headgate.master.store.scope import MASTER
from headgate.master.store.transaction import Transaction

STEPS = ("announce", "switch", "finish")


def other(world: World) -> Master:
    """Another master on the database."""
    return assembled(world.database, world.master.sealer, lambda: world.now_ms)


def emptied(world: World) -> None:
    """Takes from the database what the first master makes."""

    async def work(tx: Transaction) -> None:
        await tx.change(delete(AUTHORITIES))
        await tx.change(delete(MANIFEST_KEYS))

    world.runner.run(world.database.write(MASTER, work))


def made(world: World) -> tuple[int, int]:
    """How many authorities there are, and keys of manifests."""

    async def count() -> tuple[int, int]:
        async with world.database.read(MASTER) as tx:
            return await tx.count(AUTHORITIES), await tx.count(MANIFEST_KEYS)

    return world.runner.run(count())


def taken(world: World, name: str, holder: str) -> Lease:
    lease = world.runner.run(world.master.leases.acquire(name, holder, LEASE_MS))
    assert lease is not None
    return lease


def taken_twice(world: World, name: str) -> tuple[Lease, Lease]:
    """The lease of a master that was too slow, and that of the one which came after it."""
    old = taken(world, name, "slow")
    world.advance(ms=LEASE_MS)
    return old, taken(world, name, "quick")


def step(world: World, admin: str, name: str) -> Answer:
    body = {"step": name, "is_forced": True}
    return world.ask("POST", "/master/authority/rotation", body, admin)


def test_masters_that_begin_at_once_make_one_authority_and_one_key(world: World) -> None:
    emptied(world)

    async def together() -> list[Authorities]:
        return await asyncio.gather(*(other(world).authority.authorities() for _ in range(4)))

    found = world.runner.run(together())
    assert len({one.pem for one in found}) == 1
    assert made(world) == (1, 1)


def test_a_master_waits_for_the_one_that_makes_the_authority(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authorities, "_AGAIN_S", 0.0)
    monkeypatch.setattr(authorities, "_TRIES", 3)
    emptied(world)
    taken(world, LEASE, "a master that died then")
    with pytest.raises(StartError, match="another master"):
        world.runner.run(other(world).authority.authorities())
    assert made(world) == (0, 0)
    world.advance(ms=LEASE_MS)
    world.runner.run(other(world).authority.authorities())
    assert made(world) == (1, 1)


def test_of_two_that_make_the_first_authority_the_one_that_lost_the_lease_makes_none(
    world: World,
) -> None:
    emptied(world)
    old, new = taken_twice(world, LEASE)

    def make(one: Master, lease: Lease) -> None:
        work = world.database.write(MASTER, lambda tx: one.authority.make_first(tx, lease))
        world.runner.run(work)

    with pytest.raises(LostLeaseError):
        make(world.master, old)
    assert made(world) == (0, 0)
    make(other(world), new)
    assert made(world) == (1, 1)
    with pytest.raises(LostLeaseError):
        make(world.master, old)
    assert made(world) == (1, 1)


def test_of_two_that_rotate_the_one_that_lost_the_lease_changes_nothing(world: World) -> None:
    old, new = taken_twice(world, LEASE)

    def take(one: Master, lease: Lease, name: str) -> AuthorityStatus:
        wanted = RotationStep.model_validate({"step": name})

        async def work(tx: Transaction) -> AuthorityStatus:
            return await rotation.take(tx, one.authority, lease, wanted, world.now_ms)

        return world.runner.run(world.database.write(MASTER, work))

    for number, name in enumerate(STEPS, 1):
        before = made(world)
        with pytest.raises(LostLeaseError):
            take(world.master, old, name)
        assert made(world) == before
        done = take(other(world), new, name)
        assert len(done.authorities) == (1 if number == len(STEPS) else 2)
    with pytest.raises(ProblemError, match="the rotation is steady"):
        take(other(world), new, "switch")


def test_who_lost_the_lease_of_the_key_wraps_no_secret(world: World) -> None:
    old, new = taken_twice(world, keys.LEASE)
    sealer = world.master.sealer

    def wrap(lease: Lease) -> bool:
        async def work(tx: Transaction) -> bool:
            return (await keys.rewrap(tx, sealer, sealer.names[0], lease)).is_rotated

        return world.runner.run(world.database.write(MASTER, work))

    with pytest.raises(LostLeaseError):
        wrap(old)
    assert wrap(new)


@pytest.mark.parametrize(
    ("path", "name"),
    [("/master/authority/rotation", LEASE), ("/master/key/rotation", keys.LEASE)],
)
def test_a_rotation_is_refused_while_another_master_is_at_it(
    world: World, path: str, name: str
) -> None:
    admin = world.set_up()
    body = {"step": "announce"} if name == LEASE else None
    file = (world.directory / "master.key").read_text()
    lease = taken(world, name, "other")
    refused = world.ask("POST", path, body, admin)
    assert (refused.status, refused["type"]) == (409, "urn:headgate:problem:busy")
    assert made(world) == (1, 1)
    assert (world.directory / "master.key").read_text() == file
    world.runner.run(world.master.leases.release(lease))
    assert world.ask("POST", path, body, admin).json.get("type") != refused["type"]
    # And nobody has it after that.
    assert taken(world, name, "other").fence > lease.fence + 1


def test_a_lease_is_given_back_when_its_block_fails(world: World) -> None:
    async def fail() -> None:
        async with held(world.master.leases, "work", "a", LEASE_MS):
            with pytest.raises(LostLeaseError):
                async with held(world.master.leases, "work", "a", LEASE_MS):
                    raise AssertionError("the lease was held twice")
            raise KeyError

    with pytest.raises(KeyError):
        world.runner.run(fail())
    assert taken(world, "work", "b").fence == 2


def test_a_master_that_has_not_heard_of_a_rotation_issues_by_the_new_authority(
    world: World,
) -> None:
    admin = world.set_up()
    assert world.ask("POST", f"{W}/fleets", {"name": "edge"}, admin).status == 201
    token = world.ask("POST", f"{W}/join-tokens", {"fleet": "edge"}, admin)["token"]
    unaware = other(world)
    before = world.runner.run(unaware.authority.authorities()).pem
    for name in STEPS:
        assert step(world, admin, name).status == 200
    assert unaware.authority.current.pem == before
    enrolled = unaware.book.enrol(token, new_csr(new_key()), AgentFacts("node-1", "1"), "")
    given = world.runner.run(enrolled)
    issuer = world.master.authority.current.issuer.certificate
    leaf = x509.load_pem_x509_certificate(given.certificate_pem)
    leaf.verify_directly_issued_by(issuer)
    assert given.authorities_pem == world.master.authority.current.pem


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_step_waits_for_certificates_that_are_being_issued(world: World) -> None:
    """SQLite writes one after the other anyway."""
    lease = taken(world, LEASE, "a")
    wanted = RotationStep(step="announce")
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    order: list[str] = []

    async def play() -> None:
        is_issuing, may_end = asyncio.Event(), asyncio.Event()

        async def issue(tx: Transaction) -> None:
            await other(world).authority.kept(tx)
            is_issuing.set()
            await may_end.wait()
            order.append("issued")

        async def rotate(tx: Transaction) -> None:
            await rotation.take(tx, world.master.authority, lease, wanted, world.now_ms)
            order.append("rotated")

        issuing = asyncio.create_task(world.database.write(MASTER, issue))
        await is_issuing.wait()
        rotating = asyncio.create_task(world.database.write(MASTER, rotate))
        counts: list[int] = []
        while not (rotating.done() or (counts and counts[-1])):
            counts = await world.database.numbers(waiting)
        may_end.set()
        await asyncio.gather(issuing, rotating)

    world.runner.run(play())
    assert order == ["issued", "rotated"]
