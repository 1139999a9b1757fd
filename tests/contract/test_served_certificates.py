"""The list of the certificates that nodes serve with; both databases."""

import pytest
from master_world import World
from said_agent import Agent, W

from headgate.fleet.codec import MOST_CERTIFICATES, decode_agent, encode_agent
from headgate.fleet.frames import AgentFrame, Heartbeat, Held, Inventory, SeenCertificate
from headgate.master.api.types import rfc3339

DAY_MS = 86_400_000


@pytest.fixture
def admin(world: World) -> str:
    """A master with a fleet; the administrator's token."""
    token = world.set_up()
    made = world.ask("POST", f"{W}/fleets", {"name": "edge"}, token)
    assert made.status == 201, made.text
    return token


def one(world: World, name: str, days: int) -> SeenCertificate:
    ends = world.now_ms + days * DAY_MS
    return SeenCertificate(name, (f"{name}.example",), "CN=ca", "ab" * 32, ends)


def said(world: World, agent: Agent, *certificates: SeenCertificate) -> None:
    inventory = Inventory(len(certificates), certificates)
    beat = Heartbeat(Held(), inventory=inventory)
    world.runner.run(world.master.book.seen(agent.id, beat))


def test_what_ends_first_is_listed_first(world: World, admin: str) -> None:
    first, second = Agent(world, admin), Agent(world, admin)
    said(world, first, one(world, "late", 90), one(world, "old", -1))
    said(world, second, one(world, "soon", 5))
    path = f"{W}/certificates"

    def names(query: str = "") -> list[object]:
        return [found["name"] for found in world.ask("GET", path + query, token=admin).items]

    assert names() == ["old", "soon", "late"]
    assert names("?expires_within_days=30") == ["old", "soon"]
    assert names(f"?agent={second.id}") == ["soon"]
    assert names("?name_prefix=so") == ["soon"]
    assert names("?fleet=edge") == ["old", "soon", "late"]
    assert world.ask("POST", f"{W}/fleets", {"name": "core"}, admin).status == 201
    assert names("?fleet=core") == []
    until = rfc3339(world.now_ms + 30 * DAY_MS)
    assert names(f"?expires_before={until}") == ["old", "soon"]
    page = world.ask("GET", f"{path}?limit=2", token=admin)
    assert [found["name"] for found in page.items] == ["old", "soon"]
    assert names(f"?limit=2&cursor={page['next']}") == ["late"]
    shown = page.items[1]
    assert (shown["agent"], shown["names"]) == (second.id, ["soon.example"])

    # What an agent says replaces what it said; a heartbeat that says nothing leaves it.
    said(world, first, one(world, "new", 60))
    second.beat()
    assert names() == ["soon", "new"]
    assert world.ask("DELETE", f"{W}/agents/{second.id}", token=admin).status == 204
    assert names() == ["new"]
    world.ask("POST", "/organisations", {"name": "other"}, admin)
    world.ask("POST", "/organisations/other/workspaces", {"name": "there"}, admin)
    assert world.ask("GET", "/workspaces/there/certificates", token=admin).items == []


def test_what_a_revoked_agent_said_is_listed_only_where_it_is_asked_for(
    world: World, admin: str
) -> None:
    gone, here = Agent(world, admin), Agent(world, admin)
    said(world, gone, one(world, "old", -1))
    said(world, here, one(world, "soon", 5))
    assert world.ask("POST", f"{W}/agents/{gone.id}/revocation", {}, admin).status == 200
    for query, names in (
        ("", ["soon"]),
        ("?fleet=edge", ["soon"]),
        (f"?agent={gone.id}", ["old"]),
        (f"?agent={gone.id}&fleet=edge", ["old"]),
    ):
        found = world.ask("GET", f"{W}/certificates{query}", token=admin).items
        assert [certificate["name"] for certificate in found] == names, query


def test_what_an_agent_says_is_bounded() -> None:
    many = tuple(
        SeenCertificate("n" * 999, ("x" * 300,) * 60, "i" * 999, "f" * 999, 1 << 63)
        for _ in range(MOST_CERTIFICATES + 1)
    )
    frame = AgentFrame(1, 1, Heartbeat(Held(), inventory=Inventory(len(many), many)))
    body = decode_agent(encode_agent(frame)).body
    assert isinstance(body, Heartbeat)
    assert body.inventory is not None
    assert body.inventory.total == MOST_CERTIFICATES + 1
    assert len(body.inventory.certificates) == MOST_CERTIFICATES
    found = body.inventory.certificates[0]
    assert (len(found.name), len(found.names), len(found.fingerprint)) == (255, 50, 64)
    assert len(str(found.not_after_ms)) == 15
