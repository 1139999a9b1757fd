"""`make scale-rest`: what a master's REST API takes with many objects, and how long a change takes
to those who watch. Prints what it measured on each database, with the machine's load, as JSON.

The master is a process of its own on a loopback port. The objects are written into its database
before it starts, since 100,000 requests are not what is measured.
"""

import argparse
import asyncio
import contextlib
import http.client
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from sqlalchemy import create_engine, insert, text
from websockets.asyncio.client import ClientConnection, connect

from headgate.fleet.manifest import resource_path
from headgate.kernel.collector import paused
from headgate.master.api.types import Window
from headgate.master.domains.resources.store import RESOURCES
from headgate.master.domains.resources.types import DEFAULT_SET, Row
from headgate.master.domains.workspaces.store import WORKSPACES
from headgate.master.domains.workspaces.types import Workspace
from headgate.master.ids import new_id
from headgate.master.store.opening import FILE, Place, postgres
from headgate.master.store.scope import MASTER, Scope, owned

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

from machine import cpu_s, peak_rss_bytes, pss_bytes
from master_process import PASSWORD, MasterProcess, call, master
from master_world import opened
from postgres import Postgres

W = "/api/v1/workspaces/default"
_AT_ONCE = 1_000
_PAGE = 100
_PATIENCE_S = 60.0
_SEED = 1


def quantiles(seconds: Sequence[float]) -> dict[str, float]:
    """Returns the median, the 99th percentile and the longest, in milliseconds."""
    ordered = sorted(seconds)
    places = {"p50_ms": 0.5, "p99_ms": 0.99, "longest_ms": 1.0}
    last = len(ordered) - 1
    return {name: round(ordered[round(last * at)] * 1_000, 2) for name, at in places.items()}


def name_of(number: int) -> str:
    """Returns the name of an object; they sort by their numbers."""
    return f"u{number:06d}"


async def fill(place: Place, count: int) -> None:
    """Writes `count` upstreams into the workspace of a master that does not run."""
    now_ms = int(time.time() * 1_000)
    database = await opened(place, lambda: now_ms)
    try:
        async with database.read(MASTER) as tx:
            found = await tx.find(Workspace, WORKSPACES, WORKSPACES.c.name == "default")
        if found is None:
            raise SystemExit("scale-rest: the master made no workspace")
    finally:
        await database.close()
    scope = Scope(found.organisation_id, found.id)
    parts = (range(at, min(count, at + _AT_ONCE)) for at in range(0, count, _AT_ONCE))
    rows = ([_owned(number, now_ms, scope) for number in part] for part in parts)
    # Many rows with each statement, as no transaction of a master adds rows that have a quota.
    if place.url:
        engine = postgres(place.url)
        async with engine.begin() as connection:
            for some in rows:
                await connection.execute(insert(RESOURCES), some)
            # Autovacuum does it within a minute; until then the planner takes the table for small.
            await connection.execute(text("ANALYZE"))
        await engine.dispose()
    else:
        local = create_engine(f"sqlite:///{place.directory / FILE}")
        with local.begin() as direct:
            for some in rows:
                direct.execute(insert(RESOURCES), some)
        local.dispose()


def _owned(number: int, now_ms: int, scope: Scope) -> dict[str, object]:
    return owned(RESOURCES, _row(number, now_ms).model_dump(), scope)


def _row(number: int, now_ms: int) -> Row:
    spec = {"endpoints": [f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}:80"]}
    return Row(
        id=new_id(now_ms),
        version=1,
        kind="upstreams",
        name=name_of(number),
        path=resource_path("upstreams", name_of(number)),
        spec=json.dumps(spec),
        fleets="{}",
        set_name=DEFAULT_SET,
        changed_at=now_ms,
        changed_by="scale",
    )


def listing(base: str, token: str, objects: int, times: int) -> dict[str, Any]:
    """Returns how long lists of 100 objects take, from places all over."""
    where = urlsplit(base)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=_PATIENCE_S)
    places = random.Random(_SEED)  # noqa: S311 - the same places in each run
    seconds: list[float] = []
    for _ in range(times):
        path = resource_path("upstreams", name_of(places.randrange(max(1, objects - _PAGE))))
        cursor = quote(Window().following(path))
        began = time.monotonic()
        headers = {"authorization": f"Bearer {token}"}
        connection.request("GET", f"{W}/resources?limit={_PAGE}&cursor={cursor}", headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        seconds.append(time.monotonic() - began)
        found = len(json.loads(body)["items"]) if answer.status == 200 else 0
        if found != min(_PAGE, objects - 1) and objects > _PAGE:
            raise SystemExit(f"scale-rest: a list had {found} objects, status {answer.status}")
    connection.close()
    return {"lists": times, **quantiles(seconds)}


async def fan_out(base: str, token: str, clients: int, changes: int) -> dict[str, Any]:
    """Returns how long it takes from a change's request until each client has the event."""
    url = f"ws{base.removeprefix('http')}/api/v1/events?workspace=default"
    headers = {"authorization": f"Bearer {token}"}
    seconds: list[float] = []
    async with contextlib.AsyncExitStack() as stack:
        lines = [
            await stack.enter_async_context(
                connect(url, additional_headers=headers, proxy=None, max_queue=None)
            )
            for _ in range(clients)
        ]
        for number in range(changes):
            name = f"watched{number}"
            heard = [asyncio.create_task(_heard(line, f"upstreams/{name}")) for line in lines]
            began = time.monotonic()
            spec = {"spec": {"endpoints": ["127.0.0.1:9"]}}
            path = f"{base}{W}/resources/upstreams/{name}"
            await asyncio.to_thread(call, path, spec, token, None, "PUT")
            async with asyncio.timeout(_PATIENCE_S):
                seconds += [at - began for at in await asyncio.gather(*heard)]
    return {"clients": clients, "changes": changes, "events": len(seconds), **quantiles(seconds)}


async def _heard(line: ClientConnection, name: str) -> float:
    """Returns when a client got the event of an object."""
    async for said in line:
        if name in str(json.loads(said).get("object", "")):
            return time.monotonic()
    raise SystemExit("scale-rest: a client was cut off")


def measured(folder: Path, url: str, asked: argparse.Namespace) -> dict[str, Any]:
    """Returns what a master on this database takes; SQLite if `url` is empty."""
    with master(folder, "--listen", "127.0.0.1:0", database_url=url) as first:
        first.set_up()
        first.stop()
    began = time.monotonic()
    asyncio.run(fill(Place(folder / "data", url), asked.objects))
    filled_s = round(time.monotonic() - began, 1)
    says = "the master serves"
    with master(folder, "--listen", "127.0.0.1:0", says=says, database_url=url) as one:
        base = _base(one)
        body = {"name": "ann", "password": PASSWORD}
        token = str(call(f"{base}/api/v1/auth/login", body)["access_token"])
        pid = one.process.pid
        began_mib = _mib(pid)
        with _cpu(pid, asked.lists) as list_ms:
            lists = listing(base, token, asked.objects, asked.lists)
        # A collection in this process takes longer than what is measured.
        with paused(), _cpu(pid, asked.clients * asked.changes) as event_ms:
            heard = asyncio.run(fan_out(base, token, asked.clients, asked.changes))
        return {
            "objects": asked.objects,
            "filled_s": filled_s,
            "list": lists | {"master_cpu_ms": list_ms[0]},
            "fan_out": heard | {"master_cpu_ms_per_event": event_ms[0]},
            "master_mib": {"before": began_mib, "after": _mib(pid), "peak": _peak_mib(pid)},
            "load": os.getloadavg()[0],
        }


@contextlib.contextmanager
def _cpu(pid: int, times: int) -> Iterator[list[float]]:
    """Gives a list that has the CPU time of a process for each of these times after the block."""
    found: list[float] = []
    before = cpu_s([pid])
    yield found
    found.append(round((cpu_s([pid]) - before) * 1_000 / max(1, times), 3))


def _mib(pid: int) -> int:
    return pss_bytes([pid]) >> 20


def _peak_mib(pid: int) -> int:
    return peak_rss_bytes([pid]) >> 20


def _base(one: MasterProcess) -> str:
    for line in one.text().splitlines():
        start = line.find("http://127.0.0.1:")
        if start >= 0:
            port = "".join(c for c in line[start + 17 : start + 22] if c.isdigit())
            return f"http://127.0.0.1:{port}"
    raise SystemExit("scale-rest: the master did not say where it serves")


@contextlib.contextmanager
def _place(kind: str) -> Iterator[tuple[Path, str]]:
    """Gives the folder of a master and the address of its database."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        url = ""
        if kind == "postgresql":
            cluster = Postgres(is_durable=True)
            stack.callback(cluster.close)
            url = cluster.database()
        yield Path(folder), url


def main() -> None:
    """Runs the cases and prints their results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=100_000)
    parser.add_argument("--lists", type=int, default=500)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--changes", type=int, default=50)
    parser.add_argument("--databases", default="sqlite,postgresql")
    asked = parser.parse_args()
    report: dict[str, Any] = {"cpus": os.cpu_count(), "load_before": os.getloadavg()[0]}
    for kind in asked.databases.split(","):
        with _place(kind) as (folder, url):
            report[kind] = measured(folder, url, asked)
    sys.stdout.write(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
