"""Rotation of the master's key and of the fleet's authority; both databases."""

import asyncio

import pytest
from cryptography import x509
from master_world import PASSWORD, Answer, World
from said_agent import Agent, W
from waiting import until_async

from headgate.certificates.identity import agent_of
from headgate.master.domains import registry
from headgate.master.domains.audit.store import AUDIT
from headgate.master.domains.enrolment import authority, store
from headgate.master.domains.rotation.keys import SEALED
from headgate.master.services import assembled
from headgate.master.store.scope import MASTER
from headgate.master.store.sealing import SealError, new_key_file
from headgate.master.store.transaction import Transaction


@pytest.fixture
def admin(world: World) -> str:
    """A master with a fleet; the administrator's token."""
    token = world.set_up()
    made = world.ask("POST", f"{W}/fleets", {"name": "edge"}, token)
    assert made.status == 201, made.text
    return token


def audited(world: World, path: str) -> int:
    """How many lines the audit log has of changes at a path."""

    async def work(tx: Transaction) -> int:
        return await tx.count(AUDIT, AUDIT.c.action.endswith(path))

    return world.runner.run(world.database.write(MASTER, work))


def step(world: World, admin: str, name: str, *, force: bool = False) -> Answer:
    body = {"step": name, "is_forced": force}
    return world.ask("POST", "/master/authority/rotation", body, admin)


def test_an_authority_is_rotated_while_agents_follow(world: World, admin: str) -> None:
    outdated: list[str] = []
    book = world.master.book
    book.outdated = outdated.append
    agent = Agent(world, admin)
    agent.beat()
    assert outdated == []
    first = world.ask("GET", "/master/authority", token=admin)
    assert (first["stage"], first["next"], first.json["agents"]) == ("steady", "announce", 1)
    assert step(world, admin, "switch").status == 409

    done = step(world, admin, "announce")
    assert (done.status, done["stage"], done.json["waiting"]) == (200, "announced", 1)
    assert step(world, admin, "announce").status == 409
    refused = step(world, admin, "switch")
    assert (refused.status, refused["type"]) == (409, "urn:headgate:problem:rotation")
    assert "node-1" in refused["detail"]
    agent.beat()
    assert set(outdated) == {agent.id}
    agent.renew()
    outdated.clear()
    agent.beat()
    assert outdated == []
    done = step(world, admin, "switch")
    assert (done.status, done["stage"], done.json["waiting"]) == (200, "switched", 1)

    assert step(world, admin, "finish").status == 409
    agent.beat()
    assert set(outdated) == {agent.id}
    old = agent.given
    agent.renew()
    # The answer was lost: the agent still has its old certificate, and says so.
    newest, agent.given = agent.given, old
    agent.beat()
    assert step(world, admin, "finish").status == 409
    agent.given = newest
    agent.beat()
    done = step(world, admin, "finish")
    assert (done.status, done["stage"], len(done.json["authorities"])) == (200, "steady", 1)  # type: ignore[arg-type]
    trusted = x509.load_pem_x509_certificates(
        world.ask("GET", "/enrolment/authorities").text.encode()
    )
    assert len(trusted) == 1
    leaf = x509.load_pem_x509_certificate(agent.given.certificate_pem)
    leaf.verify_directly_issued_by(trusted[0])
    assert agent_of(leaf) == agent.id
    assert audited(world, "/master/authority/rotation") == 3


def test_a_forced_rotation_waits_for_nobody(world: World, admin: str) -> None:
    Agent(world, admin)
    for name in ("announce", "switch", "finish"):
        assert step(world, admin, name, force=True).status == 200
    assert step(world, admin, "announce").status == 200


def test_another_master_on_the_database_reads_the_authorities_again(
    world: World, admin: str
) -> None:
    before = world.runner.run(world.master.authority.authorities())
    other = assembled(world.database, world.master.sealer, lambda: world.now_ms).authority
    assert world.runner.run(other.authorities()).pem == before.pem
    assert step(world, admin, "announce").status == 200
    assert other.current.stage == "steady"
    world.runner.run(other.refresh())
    assert other.current.stage == "announced"
    assert other.pins == world.master.authority.pins


def test_a_revoked_agent_and_one_that_is_away_for_good_hold_nothing_up(
    world: World, admin: str
) -> None:
    revoked, away = Agent(world, admin), Agent(world, admin)
    assert step(world, admin, "announce").json["waiting"] == 2
    world.ask("POST", f"{W}/agents/{revoked.id}/revocation", {}, admin)
    assert world.ask("GET", "/master/authority", token=admin).json["waiting"] == 1
    world.advance(days=32)
    body = {"name": "ann", "password": PASSWORD}
    admin = world.ask("POST", "/auth/login", body)["access_token"]
    assert world.ask("GET", "/master/authority", token=admin).json["waiting"] == 0
    assert step(world, admin, "switch").status == 200
    assert away.id != revoked.id


def test_every_table_with_sealed_secrets_is_known() -> None:
    found = {one.name for one in registry.TABLES.values() if "sealed" in one.c}
    assert found == {one.table.name for one in SEALED}


def test_the_key_is_rotated_and_what_it_sealed_opens(world: World, admin: str) -> None:
    put = world.ask("PUT", f"{W}/secrets/key.pem", {"content": "c2VjcmV0"}, admin)
    assert put.status == 200, put.text
    Agent(world, admin)
    file = world.directory / "master.key"
    old = file.read_text().split()
    before = world.ask("GET", "/master/key", token=admin)
    assert before.json["is_rotated"] is True
    if world.url:
        refused = world.ask("POST", "/master/key/rotation", None, admin)
        assert (refused.status, refused["type"]) == (409, "urn:headgate:problem:no-new-key")
        new_key_file(file, file.read_text())
    done = world.ask("POST", "/master/key/rotation", None, admin)
    assert done.status == 200, done.text
    assert (done.json["is_rotated"], done.json["unknown"]) == (True, 0)
    keys = file.read_text().split()
    assert keys[0] not in old
    assert (old[0] in keys) is bool(world.url)
    world.close()
    file.write_text(f"{keys[0]}\n")  # nothing needs the old one
    world.open()
    shown = world.ask("GET", "/master/key", token=admin)
    assert shown.status == 200, shown.text
    assert (shown.json["is_rotated"], len(shown.json["keys"])) == (True, 1)  # type: ignore[arg-type]
    assert world.ask("GET", "/enrolment/authorities").status == 200
    Agent(world, admin)


def test_a_rotation_that_was_interrupted_goes_on(world: World, admin: str) -> None:
    """The new key is in the file, and the transaction did not happen."""
    file = world.directory / "master.key"
    new_key_file(file, file.read_text())
    keys = file.read_text().split()
    world.close()
    world.open()
    shown = world.ask("GET", "/master/key", token=admin)
    assert (shown.status, shown.json["is_rotated"]) == (200, False)
    done = world.ask("POST", "/master/key/rotation", None, admin)
    assert done.json["is_rotated"] is True
    assert file.read_text().split()[0] == keys[0]  # and no third one


def test_people_of_a_workspace_may_not_rotate(world: World, admin: str) -> None:
    other = world.invite(admin, "bob", "admin")
    for method, path in (
        ("GET", "/master/key"),
        ("POST", "/master/key/rotation"),
        ("GET", "/master/authority"),
    ):
        assert world.ask(method, path, None, other).status == 403
    assert step(world, other, "announce").status == 403


def test_authorities_that_cannot_be_read_are_looked_at_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, looks = store.listed, []

    async def listed(tx: Transaction) -> list[store.AuthorityRow]:
        looks.append(tx)
        if len(looks) == 1:
            raise SealError("it is sealed by a key that is not here yet")
        return await whole(tx)

    async def play() -> None:
        following = asyncio.create_task(world.master.authority.follow())
        await until_async(lambda: following.done() or len(looks) > 1, "another look")
        assert not following.done()
        following.cancel()

    monkeypatch.setattr(store, "listed", listed)
    monkeypatch.setattr(authority, "FOLLOWED_S", 0.0)
    world.runner.run(play())


def test_what_concerns_the_whole_master_is_listed_for_its_administrators(
    world: World, admin: str
) -> None:
    assert step(world, admin, "announce").status == 200
    assert world.ask("POST", "/organisations", {"name": "other"}, admin).status == 201
    wrong = {"name": "ann", "password": "wrong horse battery"}
    assert world.ask("POST", "/auth/login", wrong).status == 401
    viewer = world.invite(admin, "viv", "viewer", query="?organisation=main")
    for path in ("/master/key", "/master/audit"):
        assert world.ask("GET", path, token=viewer).status == 403
    found = world.ask("GET", "/master/audit", token=admin).items
    assert [(one["actor_name"], one["action"], one["outcome"]) for one in found] == [
        ("viv", "master.read was refused", "refused"),
        ("viv", "master.read was refused", "refused"),
        ("", "POST /api/v1/auth/setup", "done"),
        ("ann", "a login failed", "refused"),
        ("ann", "POST /api/v1/organisations", "done"),
        ("ann", "POST /api/v1/master/authority/rotation", "done"),
        ("", "POST /api/v1/auth/setup", "done"),
    ]
    page = world.ask("GET", "/master/audit?outcome=refused&actor=ann&limit=1", token=admin)
    assert [one["action"] for one in page.items] == ["a login failed"]
    assert world.ask("GET", "/master/audit?organisation=main", token=admin).status == 422
    ours = world.ask("GET", "/audit?organisation=main", token=admin).items
    assert not {one["id"] for one in ours} & {one["id"] for one in found}
