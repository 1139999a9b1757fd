"""What fleets served, from heartbeats to the REST API; both databases."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest
from asgi import ask
from at_terminal import Person
from master_world import PASSWORD, World
from said_agent import Agent, W
from sqlalchemy import delete

from headgate.fleet.frames import Heartbeat, Held, Latency
from headgate.fleet.latency import BOUNDS_S, BUCKETS
from headgate.master.domains.metrics import recorder, store, thinner, thinning
from headgate.master.domains.metrics.growth import Counters, Slot
from headgate.master.domains.metrics.recorder import Recorder
from headgate.master.domains.metrics.store import COUNTERS, METRICS
from headgate.master.domains.metrics.tally import Tally
from headgate.master.domains.metrics.thinner import Thinner
from headgate.master.store.errors import RefusedError, StoreUnavailableError
from headgate.master.store.leases import RowLeases
from headgate.master.store.scope import MASTER
from headgate.master.store.transaction import Transaction
from headgate.master.upkeep import World as Kept

PATH = f"{W}/fleets/edge/metrics"


@pytest.fixture
def admin(world: World) -> str:
    """A master with a fleet; the administrator's token."""
    token = world.set_up()
    made = world.ask("POST", f"{W}/fleets", {"name": "edge"}, token)
    assert made.status == 201, made.text
    return token


class Node:
    """An agent whose node serves requests, each in 0.3 ms; one in ten is answered with 404."""

    def __init__(self, world: World, admin: str) -> None:
        self.world = world
        self.agent = Agent(world, admin)
        self.id = self.agent.id
        self.served = 0
        self.began = world.now_ms

    def serve(self, requests: int, connections: int = 2) -> None:
        """Serves, and says so; a session would wait until its heartbeat is on disk."""
        self.world.master.book.measured(self.id, self.beat(requests, connections))

    def beat(self, requests: int, connections: int = 2) -> Heartbeat:
        """A heartbeat after so many requests more."""
        self.served += requests
        counts = [0] * BUCKETS
        counts[BOUNDS_S.index(0.0003)] = self.served
        figures = {
            "requests": float(self.served),
            "errors_4xx": float(self.served // 10),
            "errors": 0.0,
            "connections": float(connections),
            "uptime_s": (self.world.now_ms - self.began) / 1_000,
        }
        return Heartbeat(Held(), figures=figures, latency=Latency(BOUNDS_S, tuple(counts)))


def flush(world: World, one: Recorder | None = None) -> None:
    world.runner.run((one or world.master.recorder).flush())


def thin(world: World) -> None:
    leases = RowLeases(world.database, lambda: world.now_ms)
    kept = Kept(world.database, leases, lambda: world.now_ms, "one")
    assert world.runner.run(Thinner(kept).once())


def points(world: World, admin: str, query: str = "") -> list[dict[str, Any]]:
    found = world.ask("GET", f"{PATH}?limit=1000{query}", token=admin)
    assert found.status == 200, found.text
    return found.items


def lengths(world: World) -> dict[int, int]:
    async def count() -> dict[int, int]:
        async with world.database.read(MASTER) as tx:
            return {n: await tx.count(METRICS, METRICS.c.length == n) for n in (15_000, 60_000)}

    return world.runner.run(count())


def test_heartbeats_become_points_of_nodes_and_of_their_fleet(world: World, admin: str) -> None:
    one, two = Node(world, admin), Node(world, admin)
    world.advance(seconds=15)
    one.agent.run(world.master.book.seen(one.id, one.beat(10)))
    two.serve(5, connections=1)
    flush(world)
    for _ in range(7):
        world.advance(seconds=15)
        one.serve(10)
        two.serve(5, connections=1)
        flush(world)
    found = points(world, admin)
    assert sum(point["requests"] for point in found) == one.served + two.served == 120
    assert sum(point["client_errors"] for point in found) == 12
    assert [point["requests"] for point in found] == [60, 60]
    assert found[0] | {"at": ""} == {
        "agent": None,
        "at": "",
        "seconds": 60,
        "nodes": 2,
        "requests": 60,
        "client_errors": 6,
        "server_errors": 0,
        "endpoint_failures": None,
        "connections": 3,
        "drifting": None,
        "latency_p50_ms": 0.3,
        "latency_p99_ms": 0.3,
    }
    by_agent = points(world, admin, "&by=agent&step_s=300")
    assert {point["agent"]: point["requests"] for point in by_agent} == {one.id: 80, two.id: 40}
    only = points(world, admin, f"&agent={two.id}&step_s=15")
    assert [(point["agent"], point["requests"]) for point in only] == [(two.id, 5)] * 8


def test_a_list_is_continued_with_its_cursor(world: World, admin: str) -> None:
    nodes = sorted([Node(world, admin), Node(world, admin)], key=lambda node: node.id)
    for _ in range(4):
        world.advance(seconds=15)
        for number, node in enumerate(nodes):
            node.serve(number + 1)
        flush(world)
    query = f"{PATH}?by=agent&step_s=15&limit=3"
    found: list[object] = []
    cursor = ""
    while True:
        page = world.ask("GET", query + cursor, token=admin)
        found += [(point["agent"], point["requests"]) for point in page.items]
        assert len(page.items) <= 3
        if page.json["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert found == [(nodes[0].id, 1)] * 4 + [(nodes[1].id, 2)] * 4


def test_older_points_are_longer_and_lose_nothing(
    world: World, admin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thinner, "AT_ONCE", 7)
    body = {"name": "reader", "role": "viewer", "days": 9}
    reader = world.ask("POST", "/tokens", body, admin)["secret"]
    nodes = [Node(world, admin) for _ in range(3)]
    for _ in range(20):
        world.advance(seconds=15)
        for node in nodes:
            node.serve(3)
        flush(world)
    assert lengths(world) == {15_000: 80, 60_000: 0}
    world.advance(hours=1, minutes=1)
    thin(world)
    assert lengths(world) == {15_000: 0, 60_000: 20}
    query = "&range_s=86400&step_s=15"
    found = points(world, reader, query)
    assert [(p["seconds"], p["requests"], p["nodes"]) for p in found] == [(60, 36, 3)] * 5
    world.advance(hours=5, minutes=5)
    thin(world)
    assert lengths(world) == {15_000: 0, 60_000: 0}
    found = points(world, reader, query)
    assert [(point["seconds"], point["requests"]) for point in found] == [(300, 180)]
    by_agent = points(world, reader, query + "&by=agent")
    assert [(point["requests"], point["latency_p99_ms"]) for point in by_agent] == [(60, 0.3)] * 3
    world.advance(hours=19)
    thin(world)
    assert points(world, reader, query) == []


def test_nothing_is_lost_or_counted_twice_over_masters_and_engines(
    world: World, admin: str
) -> None:
    node = Node(world, admin)
    world.advance(seconds=15)
    node.serve(100)
    flush(world)
    # A master that started meanwhile knows the counters from the database.
    other = Recorder(world.database, lambda: world.now_ms)
    world.master.book.measured = other.add
    node.serve(0)  # repeated
    world.advance(seconds=15)
    node.serve(11)
    flush(world, other)
    world.advance(seconds=15)
    node.served, node.began = 0, world.now_ms  # a new engine
    world.advance(seconds=5)
    node.serve(7)
    flush(world, other)
    assert sum(point["requests"] for point in points(world, admin)) == 118
    # Masters that write at once add to the same slot of the fleet.
    two = Node(world, admin)
    world.advance(seconds=15)
    node.serve(1)
    world.master.book.measured = world.master.recorder.add
    two.serve(1)

    async def both() -> None:
        await asyncio.gather(world.master.recorder.flush(), other.flush())

    world.runner.run(both())
    assert sum(point["requests"] for point in points(world, admin)) == 120


def test_a_master_does_not_undo_what_another_one_added_meanwhile(
    world: World, admin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two, three = (Node(world, admin) for _ in range(3))
    other = Recorder(world.database, lambda: world.now_ms)
    world.advance(seconds=15)
    one.serve(10)
    flush(world)  # the row of the fleet is there, to which the others add
    two.serve(3)
    world.master.book.measured = other.add
    three.serve(5)
    remove = store.remove

    async def both() -> None:
        adding: list[asyncio.Task[None]] = []

        async def late(tx: Transaction, rows: list[store.SlotRow]) -> None:
            if not adding:
                # The first one has read the row and goes on once the second one is done, or waits.
                adding.append(asyncio.create_task(other.flush()))
                await asyncio.wait(adding, timeout=0.5)
            await remove(tx, rows)

        monkeypatch.setattr(store, "remove", late)
        await world.master.recorder.flush()
        await asyncio.gather(*adding)

    world.runner.run(both())
    assert sum(point["requests"] for point in points(world, admin)) == 18


def test_what_could_not_be_written_is_written_later(
    world: World, admin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Node(world, admin)
    world.advance(seconds=15)
    node.serve(10)

    async def away(*_: object) -> None:
        raise StoreUnavailableError("the database is away")

    with monkeypatch.context() as patch:
        patch.setattr(recorder, "_written", away)
        with pytest.raises(StoreUnavailableError):
            flush(world)
        world.advance(seconds=15)
        node.serve(10)
        with pytest.raises(StoreUnavailableError):
            flush(world)
    flush(world)
    assert sum(point["requests"] for point in points(world, admin)) == 20


def test_many_nodes_are_written_in_several_transactions(
    world: World, admin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "AT_ONCE", 2)
    nodes = [Node(world, admin) for _ in range(5)]
    for _ in range(2):
        world.advance(seconds=15)
        for node in nodes:
            node.serve(4)
        flush(world)
    assert [(p["nodes"], p["requests"]) for p in points(world, admin, "&step_s=15")] == [
        (5, 20)
    ] * 2


def test_figures_end_with_their_agent_and_their_fleet(world: World, admin: str) -> None:
    node = Node(world, admin)
    world.advance(seconds=15)
    node.serve(10)
    flush(world)
    node.serve(1)  # it waits to be written when its agent is removed
    assert world.ask("DELETE", f"{W}/agents/{node.id}", token=admin).status == 204
    world.advance(seconds=15)
    flush(world)
    assert points(world, admin, "&by=agent") == []
    assert sum(point["requests"] for point in points(world, admin)) == 10
    assert world.ask("DELETE", f"{W}/fleets/edge", token=admin).status == 204

    async def left() -> tuple[int, int]:
        async with world.database.read(MASTER) as tx:
            return await tx.count(METRICS), await tx.count(COUNTERS)

    assert world.runner.run(left()) == (0, 0)


def test_an_agent_that_moves_within_a_slot_loses_nothing(world: World, admin: str) -> None:
    world.ask("POST", f"{W}/fleets", {"name": "core"}, admin)
    node = Node(world, admin)
    world.advance(seconds=15)
    node.serve(10)
    flush(world)
    moved = world.ask("PATCH", f"{W}/agents/{node.id}", {"fleet": "core"}, admin)
    assert moved.status == 200, moved.text
    world.advance(seconds=3)
    node.serve(2)
    flush(world)
    core = world.ask("GET", f"{W}/fleets/core/metrics", token=admin).items
    edge = points(world, admin)
    assert [sum(int(str(p["requests"])) for p in some) for some in (edge, core)] == [10, 2]


def test_an_agent_that_lies_stops_nobody(world: World, admin: str) -> None:
    """It says of each second that an engine began in it and answered as much as a number holds."""
    lying, honest = sorted((Node(world, admin) for _ in range(2)), key=lambda node: node.id)
    figures = {"requests": 1.0, "connections": 1e300, "errors": 1e300, "uptime_s": 0.5}
    lie = Heartbeat(Held(), figures=figures, latency=Latency(BOUNDS_S, (1 << 63,) * BUCKETS))
    for number in range(120):
        world.advance(seconds=1)
        world.master.book.measured(lying.id, lie)
        if number % 15 == 0:
            honest.serve(3)
        flush(world)
    query = f"&agent={honest.id}&range_s=86400"
    for minutes in (0, 65, 360):
        world.advance(minutes=minutes)
        thin(world)
        body = {"name": "ann", "password": PASSWORD}
        reader = world.ask("POST", "/auth/login", body)["access_token"]
        found = points(world, reader, query)
        assert sum(point["requests"] for point in found) == honest.served
    assert lengths(world) == {15_000: 0, 60_000: 0}
    fleet = points(world, reader, "&range_s=86400&step_s=3600")
    assert 0 < max(point["requests"] for point in fleet) < 1 << 63


def test_a_slot_that_cannot_be_thinned_stops_no_other_one(
    world: World, admin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Node(world, admin)
    bad = world.now_ms // 60_000 * 60_000
    for _ in range(12):
        world.advance(seconds=15)
        node.serve(3)
        flush(world)
    merged = thinning.merged

    def refused(
        rows: Iterable[tuple[str, Slot, Tally]], length: int
    ) -> dict[tuple[str, Slot], Tally]:
        every = list(rows)
        if every[0][1].at // 60_000 * 60_000 == bad:
            raise RefusedError("a value is out of range")
        return merged(every, length)

    monkeypatch.setattr(thinning, "merged", refused)
    world.advance(hours=1, minutes=5)
    thin(world)
    left = lengths(world)
    assert 0 < left[15_000] <= 8
    assert left[60_000] > 0
    world.advance(days=1)
    thin(world)
    assert lengths(world) == {15_000: 0, 60_000: 0}  # a day later it is forgotten, too


def test_figures_that_are_refused_hold_up_no_others(
    world: World, admin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = sorted((Node(world, admin) for _ in range(3)), key=lambda node: node.id)
    written = recorder._written

    async def refusing(tx: Transaction, said: Mapping[str, Counters]) -> None:
        if nodes[0].id in said:
            raise RefusedError("a value is out of range")
        await written(tx, said)

    monkeypatch.setattr(recorder, "_written", refusing)
    world.advance(seconds=15)
    for node in nodes:
        node.serve(3)
    flush(world)
    assert world.master.recorder.waiting == 0
    assert sum(point["requests"] for point in points(world, admin)) == 6


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("step_s=7", "step_s"),
        ("range_s=5", "range_s"),
        ("range_s=90000", "range_s"),
        ("by=node", "by"),
        ("limit=0", "limit"),
        ("colour=red", "colour"),
        ("cursor=%C3%A4", "cursor"),
    ],
)
def test_what_is_not_a_window_is_refused_with_its_place(
    world: World, admin: str, query: str, path: str
) -> None:
    found = world.ask("GET", f"{PATH}?{query}", token=admin)
    assert found.status == 422, found.text
    errors = found.json["errors"]
    assert isinstance(errors, list)
    assert path in errors[0]["path"]


def test_another_tenant_finds_no_fleet(world: World, admin: str) -> None:
    node = Node(world, admin)
    world.advance(seconds=15)
    node.serve(10)
    flush(world)
    world.ask("POST", "/organisations", {"name": "other"}, admin)
    world.ask("POST", "/organisations/other/workspaces", {"name": "there"}, admin)
    assert world.ask("GET", "/workspaces/there/fleets/edge/metrics", token=admin).status == 404
    made = world.ask("POST", "/workspaces/there/fleets", {"name": "edge"}, admin)
    path = f"/workspaces/there/fleets/{made['id']}/metrics"
    assert world.ask("GET", f"{path}?agent={node.id}", token=admin).items == []


def test_the_command_shows_a_table_or_everything(
    world: World, admin: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(_transport: object, request: httpx2.Request) -> httpx2.Response:
        path = request.url.raw_path.decode()
        headers = {name.lower(): value for name, value in request.headers.items()}
        reply = world.runner.run(ask(world.app, request.method, path, request.read(), headers))
        return httpx2.Response(reply.status, headers=reply.headers, content=reply.body)

    monkeypatch.setattr(httpx2.HTTPTransport, "handle_request", answer)
    node = Node(world, admin)
    world.advance(seconds=15)
    node.serve(30)
    flush(world)
    person = Person(tmp_path / "home", "http://127.0.0.1:8080")
    person.log_in(PASSWORD)
    head, line = person.run("fleet-metrics", "edge", "--step", "15s").splitlines()
    assert head.split()[:4] == ["AT", "NODES", "REQUESTS", "PER"]
    assert line.split()[1:] == ["1.0", "30", "2.0", "3", "0", "-", "2.0", "-", "0.3", "0.3"]
    lines = person.run("fleet-metrics", "edge", "--by", "agent").splitlines()
    assert (lines[0].split()[0], lines[1].split()[0]) == ("AGENT", node.id)
    (point,) = json.loads(person.run("fleet-metrics", "edge", "-o", "json"))
    assert (point["seconds"], point["requests"]) == (300, 30)
    assert "requests: 30\n" in person.run("fleet-metrics", "edge", "-o", "yaml")
    assert "step_s" in person.run("fleet-metrics", "edge", "--step", "7s", code=1)
    assert "--range: " in person.run("fleet-metrics", "edge", "--range", "soon", code=1)


def test_a_fleet_of_another_day_begins_with_what_it_counts(world: World, admin: str) -> None:
    """Without the counters of before, as after a restore, the engine's own begin counts."""
    node = Node(world, admin)
    world.advance(minutes=2)
    node.serve(10)
    flush(world)

    async def forget(tx: Transaction) -> None:
        await tx.change(delete(COUNTERS))
        await tx.change(delete(METRICS))

    world.runner.run(world.database.write(MASTER, forget))
    world.advance(seconds=15)
    node.serve(2)
    flush(world)
    assert sum(point["requests"] for point in points(world, admin)) == 12
