"""A master that cannot write: changes are refused with 503, agents stay connected and serve, and
what was acknowledged is there afterwards."""

import os
import subprocess
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from fleet_node import Node, serving
from master_operator import Operator, W, put
from master_process import master
from peers import peer, unavailable
from postgres import Postgres
from running_node import Upstream, get
from told import until_metric
from waiting import until

Broken = tuple[list[str], Callable[[], None], Callable[[], None]]
"""The options of a master, what breaks its database, and what mends it."""


@contextmanager
def small_disk(place: Path) -> Iterator[Broken]:
    """A disk of 12 MiB for the master's directory."""
    if os.geteuid() != 0:
        unavailable("a small disk needs root")
    place.mkdir()
    mount = [str(peer("mount")), "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(place)]
    subprocess.run(mount, check=True)
    filler = place / "filler"

    def fill() -> None:
        with filler.open("wb", buffering=0) as file:
            for size in (1 << 20, 4096):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError:
                    continue

    try:
        yield [], fill, filler.unlink
    finally:
        subprocess.run([str(peer("umount")), "--lazy", str(place)], check=True)


@contextmanager
def lost_server(_place: Path) -> Iterator[Broken]:
    """A PostgreSQL that is killed and comes back."""
    cluster = Postgres(is_durable=True)
    try:
        yield ["--database-url", cluster.database()], cluster.kill, cluster.start
    finally:
        cluster.close()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("broken", [small_disk, lost_server])
def test_writes_are_refused_and_agents_stay(
    folder: Path,
    port: int,
    one: Upstream,
    two: Upstream,
    broken: Callable[[Path], AbstractContextManager[Broken]],
) -> None:
    (folder / "m").mkdir()
    with broken(folder / "m" / "data") as (options, breaks, mends):
        listen = ["--listen", "127.0.0.1:0", "--fleet-tls"]
        with master(folder / "m", *listen, *options) as running:
            person = Operator(running)
            person.ask(f"{W}/fleets", {"name": "edge"})
            token = person.ask(f"{W}/join-tokens", {"fleet": "edge"})["token"]
            rest, grpc = person.base.rpartition(":")[2], running.agents_port()
            with Node(folder, f"grpcs://127.0.0.1:{grpc}?rest={rest}", token) as node:
                put(person, port, one.address)
                person.ask(f"{W}/revisions", {"fleet": "edge"})
                until(lambda: serving(person) == 1, "the first revision is serving", deadline_s=120)
                dials = node.metric("headgate_master_dials_total")
                assert dials >= 1

                breaks()
                kept = written_until_refused(person)
                assert refusal(person, "after") == 503
                until_metric(node, "headgate_master_connected", 1)
                assert get(port)[1] == b"one"

                mends()
                until(lambda: refusal(person, "after") is None, "it writes again")
                found = {one["name"] for one in person.ask(f"{W}/fleets?limit=1000")["items"]}
                assert found == {"edge", "after", *kept}
                put(person, port, two.address)
                person.ask(f"{W}/revisions", {"fleet": "edge"})
                until(
                    lambda: serving(person) == 2, "the second revision is serving", deadline_s=120
                )
                until_metric(node, "headgate_master_dials_total", dials)
                until_metric(node, "headgate_master_connected", 1)


def refusal(person: Operator, name: str) -> int | None:
    """With which status a new fleet is refused; None: it was made."""
    try:
        person.ask(f"{W}/fleets", {"name": name})
    except urllib.error.HTTPError as error:
        return error.code
    return None


def written_until_refused(person: Operator) -> list[str]:
    """Makes fleets until the first is refused; the names of those that were acknowledged."""
    names: list[str] = []
    while (status := refusal(person, f"f{len(names)}")) is None:
        names.append(f"f{len(names)}")
        assert len(names) < 2_000
    assert status == 503
    return names
