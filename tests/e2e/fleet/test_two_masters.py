"""Two masters on one database, and one of them is cut off from it in the midst of a rollout."""

import copy
import shutil
import urllib.error
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import loops
import pytest
from fleet_node import Node, serving
from master_operator import Operator, W, put
from master_process import master
from ports import free_port
from postgres import Postgres
from postgres_relay import Relay
from running_node import Upstream, get
from waiting import until

from headgate.master.store.abandoned import APPLICATION

pytestmark = pytest.mark.timeout(600)


def driver(url: str) -> str:
    """Who drives rollouts."""

    async def ask() -> object:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval("SELECT holder FROM leases WHERE name = 'rollouts'")
        finally:
            await connection.close()

    return str(loops.run(ask()))


async def left(url: str) -> asyncpg.Connection:
    """A session as a master leaves it when it is cut off between a statement's preparation and its
    values: the row of the lease stays locked."""
    session = await asyncpg.connect(url, server_settings={"application_name": APPLICATION})
    await session.transaction().start()
    await session.execute("UPDATE leases SET holder = holder WHERE name = 'rollouts'")
    await session.prepare("SELECT 1")
    return session


def places(folder: Path) -> tuple[list[int], list[int], list[list[str]]]:
    """Makes the directories of two masters, and returns their ports for REST and for agents, and
    their options."""
    rests, grpcs = [free_port(), free_port()], [free_port(), free_port()]
    options = []
    for name, rest, grpc in zip("ab", rests, grpcs, strict=True):
        (folder / name / "data").mkdir(parents=True)
        addresses = ["--listen", f"127.0.0.1:{rest}", "--agents-listen", f"127.0.0.1:{grpc}"]
        options.append([*addresses, "--fleet-tls"])
    return rests, grpcs, options


def status(person: Operator, path: str) -> str:
    """How a rollout stands; empty while the master cannot say it."""
    try:
        return str(person.ask(path)["status"])
    except urllib.error.HTTPError as error:
        assert error.code == 503
        return ""


def test_a_master_cut_off_from_the_database_leaves_its_rollout_to_the_other(
    folder: Path, port: int, one: Upstream, two: Upstream
) -> None:
    cluster = Postgres()
    direct = cluster.database()
    rests, grpcs, options = places(folder)
    try:
        with (
            Relay(cluster.folder) as relay,
            master(folder / "a", *options[0], database_url=relay.url(direct)) as first,
        ):
            shutil.copy(folder / "a/data/master.key", folder / "b/data/master.key")
            person = Operator(first)
            other = copy.copy(person)
            other.base = f"https://127.0.0.1:{rests[1]}"
            until(lambda: f"/{first.process.pid}/" in driver(direct), "the first one drives")
            with master(
                folder / "b", *options[1], database_url=direct, says="the master serves"
            ) as second:
                person.ask(f"{W}/fleets", {"name": "edge"})
                token = person.ask(f"{W}/join-tokens", {"fleet": "edge"})["token"]
                with Node(folder, f"grpcs://127.0.0.1:{grpcs[1]}?rest={rests[1]}", token):
                    put(person, port, one.address)
                    person.ask(f"{W}/revisions", {"fleet": "edge"})
                    until(lambda: serving(other) == 1, "the first revision", deadline_s=90)
                    put(person, port, two.address)
                    person.ask(f"{W}/revisions", {"fleet": "edge", "is_served": False})
                    gates = {"waves": ["rest"], "soak_s": 20, "gates": {"min_requests": 0}}
                    made = person.ask(f"{W}/rollouts", {"fleet": "edge", "revision": 2, **gates})
                    path = f"{W}/rollouts/{made['id']}"
                    until(lambda: serving(other) == 2, "the second revision", deadline_s=90)
                    assert f"/{first.process.pid}/" in driver(direct)

                    relay.cut()
                    session = loops.run(left(direct))
                    until(lambda: status(other, path) == "succeeded", "its end", deadline_s=240)
                    assert f"/{second.process.pid}/" in driver(direct)
                    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)):
                        loops.run(session.execute("COMMIT"))
                    assert get(port) == (200, b"two")

                    relay.mend()
                    until(lambda: status(person, path) == "succeeded", "the first one is back")
                    steps = [entry["text"] for entry in other.ask(path)["timeline"]]
                    assert [text for text, times in Counter(steps).items() if times > 1] == []
                    put(person, port, one.address)
                    assert person.ask(f"{W}/revisions", {"fleet": "edge"})["number"] == 3
                    until(lambda: serving(other) == 3, "what the first one publishes serves")
    finally:
        cluster.close()


@contextmanager
def apart(folder: Path, port: int, one: Upstream) -> Iterator[Operator]:
    """Two masters, of which the first drives rollouts, and a node that is connected to the second
    and serves revision 1; gives somebody who asks the first."""
    cluster = Postgres()
    url = cluster.database()
    rests, grpcs, options = places(folder)
    try:
        with master(folder / "a", *options[0], database_url=url) as first:
            shutil.copy(folder / "a/data/master.key", folder / "b/data/master.key")
            person = Operator(first)
            until(lambda: f"/{first.process.pid}/" in driver(url), "the first one drives")
            with master(folder / "b", *options[1], database_url=url, says="the master serves"):
                person.ask(f"{W}/fleets", {"name": "edge"})
                token = person.ask(f"{W}/join-tokens", {"fleet": "edge"})["token"]
                with Node(folder, f"grpcs://127.0.0.1:{grpcs[1]}?rest={rests[1]}", token):
                    put(person, port, one.address)
                    person.ask(f"{W}/revisions", {"fleet": "edge"})
                    until(lambda: serving(person) == 1, "the first revision", deadline_s=90)
                    yield person
    finally:
        cluster.close()


def test_the_logs_of_a_node_are_searched_through_the_master_that_it_is_not_connected_to(
    folder: Path, port: int, one: Upstream
) -> None:
    with apart(folder, port, one) as person:
        found = person.ask(f"{W}/fleets/edge/logs", {"source": "events"})
        assert [each["state"] for each in found["agents"]] == ["searched"]
        assert any("master.connected" in line["text"] for line in found["lines"])


def test_a_rollout_is_judged_by_a_node_of_the_master_that_does_not_drive_it(
    folder: Path, port: int, one: Upstream, dead: int
) -> None:
    with apart(folder, port, one) as person:
        put(person, port, f"127.0.0.1:{dead}")
        person.ask(f"{W}/revisions", {"fleet": "edge", "is_served": False})
        wanted = {"waves": ["rest"], "soak_s": 5, "gates": {"min_requests": 20}}
        made = person.ask(f"{W}/rollouts", {"fleet": "edge", "revision": 2, **wanted})

        def is_undone() -> bool:
            get(port)
            return bool(person.ask(f"{W}/rollouts/{made['id']}")["status"] == "undone")

        until(is_undone, "it is undone", deadline_s=120)
        assert "of the wave's requests failed" in person.ask(f"{W}/rollouts/{made['id']}")["reason"]
        until(lambda: get(port) == (200, b"one"), "the first revision serves again")
