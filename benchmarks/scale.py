"""`make scale`: one `headgate master` on a database of its own and many simulated agents, each with
its own certificate, connection (gRPC, mTLS) and session; and how long a first start takes. Prints
what it measured, with the machine's limits, as JSON, and writes it into a page.

The agents are real at the wire: sessions, frames, blobs. They share the reading of manifests, so
that one process can stand for many machines, and serve at once. Agents and master share the
machine.
"""

import argparse
import asyncio
import base64
import contextlib
import http.client
import json
import os
import resource
import sys
import tempfile
import time
import urllib.error
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from headgate.certificates.authority import key_pem, new_csr, new_key
from headgate.fleet.join_token import parse_join_token
from headgate.fleet.manifest import manifest_of
from headgate.master.dev.simulated import Enrolment
from headgate.master.dev.swarm import Swarm, allow_descriptors
from headgate.master.fleet.enrolment import ENROLMENT_PATH

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

import first_times
import machine
import scale_report
from master_process import MasterProcess, call
from ports import free_port
from postgres import Postgres

W = "/api/v1/workspaces/default"
FLEET = "edge"
_ROUNDS = 5
_MIB = 1 << 20
_PATIENCE_S = 300.0
_POLL_S = 0.1


class Master:
    """A master process that can be killed and started again, at the same ports."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self._folder = folder
        self._url = database_url
        rest, agents, metrics = (f"127.0.0.1:{free_port()}" for _ in range(3))
        self.target = agents
        self._options = ["--listen", rest, "--agents-listen", agents, "--metrics-listen", metrics]
        self._metrics = f"http://{metrics}/metrics"
        self.base = f"http://{rest}"
        self._process = MasterProcess(folder, *self._options, database_url=database_url)
        self._token = self._process.set_up()

    def ask(self, path: str, body: object = None, method: str | None = None) -> Any:
        """Returns the answer of one request as the administrator."""
        try:
            return call(f"{self.base}{path}", body, self._token, None, method)
        except urllib.error.HTTPError as error:
            raise SystemExit(f"scale: {path}: {error.code} {error.read().decode()}") from None

    def kill(self) -> None:
        """Kills it, as a machine does that fails."""
        self._process.process.kill()
        self._process.process.wait()

    def start(self) -> None:
        """Starts it again; returns when it serves."""
        says = "the master serves"
        url = self._url
        self._process = MasterProcess(self._folder, *self._options, says=says, database_url=url)

    def rss_bytes(self) -> int:
        """Its resident memory."""
        return int(self._proc("statm").split()[1]) * resource.getpagesize()

    def cpu_s(self) -> float:
        """The CPU time that it has used."""
        user, system = (int(one) for one in self._proc("stat").rpartition(")")[2].split()[11:13])
        return (user + system) / os.sysconf("SC_CLK_TCK")

    def proofs(self) -> int:
        """Returns how often it has written that an agent serves what it was offered."""
        connection = http.client.HTTPConnection(urlsplit(self._metrics).netloc, timeout=60)
        with contextlib.closing(connection):
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        name = "headgate_publish_serving_seconds_count"
        found = (line for line in text.splitlines() if line.startswith(name))
        return int(float(next(found, f"{name} 0").split()[-1]))

    def _proc(self, name: str) -> str:
        return Path(f"/proc/{self._process.process.pid}/{name}").read_text()


def write_config(master: Master, kib: int) -> int:
    """Writes routes until their manifest has so many KiB; returns how many."""
    path = f"{W}/resources"
    master.ask(
        f"{path}/listeners/web", {"spec": {"address": "127.0.0.1:8000", "default": True}}, "PUT"
    )
    master.ask(f"{path}/upstreams/app", {"spec": {"endpoints": ["127.0.0.1:9"]}}, "PUT")
    files = {"resources/listeners/web": b"", "resources/upstreams/app": b""}
    count = 0
    while len(manifest_of("f" * 26, 1, files).canonical()) < kib << 10:
        files[f"resources/routes/r{count:04d}"] = b""
        write_route(master, count, 0)
        count += 1
    return count


def write_route(master: Master, number: int, change: int) -> None:
    """Writes a route, another one for each `change`."""
    spec = {"upstream": "app", "match": [{"path": {"prefix": f"/r{number}-{change}"}}]}
    master.ask(f"{W}/resources/routes/r{number:04d}", {"spec": spec}, "PUT")


def enrolled(master: Master, count: int) -> list[Enrolment]:
    """Returns so many new agents of the fleet."""
    token = master.ask(f"{W}/join-tokens", {"fleet": FLEET, "uses": count, "hours": 24})["token"]
    secret = parse_join_token(token).secret
    connection = http.client.HTTPConnection(urlsplit(master.base).netloc, timeout=60)
    agents = []
    with contextlib.closing(connection):
        for _ in range(count):
            key = new_key()
            body = {"token": secret, "csr": new_csr(key).decode(), "program": "simulated"}
            headers = {"content-type": "application/json"}
            connection.request("POST", ENROLMENT_PATH, json.dumps(body), headers)
            answer = connection.getresponse()
            said = json.loads(answer.read())
            if answer.status >= 300:
                raise SystemExit(f"scale: an agent could not enrol: {said}")
            agents.append(_enrolment(key_pem(key), said))
    return agents


def _enrolment(key: bytes, said: dict[str, Any]) -> Enrolment:
    keys = tuple(base64.b64decode(one) for one in said["manifest_keys"])
    texts = (said["certificate"].encode(), said["authorities"].encode())
    return Enrolment(said["agent"], key, *texts, keys)


async def published(master: Master, swarm: Swarm) -> dict[str, Any]:
    """Publishes, and returns how long it took until agents acknowledged and served, by their own
    clocks, and until the master had written that the last one serves."""
    before = await asyncio.to_thread(master.proofs)
    cpu_s, began = master.cpu_s(), time.monotonic()
    made = await asyncio.to_thread(master.ask, f"{W}/revisions", {"fleet": FLEET})
    accepted_s = time.monotonic() - began
    revision = int(made["number"])
    await _until(lambda: all(one.serving >= revision for one in swarm.agents))
    wanted = before + len(swarm.agents)
    while await asyncio.to_thread(master.proofs) < wanted:
        if time.monotonic() > began + _PATIENCE_S:
            raise TimeoutError(f"the master does not know of {revision}")
        await asyncio.sleep(_POLL_S)
    known_s, spent_s = time.monotonic() - began, master.cpu_s() - cpu_s
    return {
        "accepted_s": round(accepted_s, 3),
        "acknowledged_s": quantiles([one.acknowledged_at - began for one in swarm.agents]),
        "serving_s": quantiles([one.served_at - began for one in swarm.agents]),
        "known_s": round(known_s, 3),
        "cpu_s": round(spent_s, 3),
    }


def quantiles(seconds: Sequence[float]) -> dict[str, float]:
    """Returns the median, the 99th percentile and the longest."""
    ordered = sorted(seconds)
    last = len(ordered) - 1
    places = {"p50": last // 2, "p99": last * 99 // 100, "last": last}
    return {name: round(ordered[at], 3) for name, at in places.items()}


async def measure(master: Master, count: int, quiet_s: float) -> dict[str, Any]:
    """Returns what `count` agents see of this master."""
    found: dict[str, Any] = {"agents": count, "idle_mib": master.rss_bytes() // _MIB}
    began = time.monotonic()
    agents = enrolled(master, count)
    found["enrolled_s"] = time.monotonic() - began
    async with Swarm(agents, master.target) as swarm:
        cpu_s = master.cpu_s()
        found["connected_s"] = await swarm.until_live()
        found["connect_cpu_s"] = master.cpu_s() - cpu_s
        found["connected_mib"] = master.rss_bytes() // _MIB
        found["complete"] = await published(master, swarm)
        found["difference"] = []
        for change in range(1, _ROUNDS + 1):
            await asyncio.to_thread(write_route, master, 0, change)
            found["difference"].append(await published(master, swarm))
        cpu_s, began = master.cpu_s(), time.monotonic()
        await asyncio.sleep(quiet_s)
        found["heartbeats_share_of_core"] = (master.cpu_s() - cpu_s) / (time.monotonic() - began)
        found["mib"] = master.rss_bytes() // _MIB
        found |= await healed(master, swarm)
    return found


async def healed(master: Master, swarm: Swarm) -> dict[str, float]:
    """Kills the master and starts it again; returns how long it was away, and until every agent
    had a session again."""
    fences = [agent.session.work.fence for agent in swarm.agents]
    master.kill()
    began = time.monotonic()
    await asyncio.to_thread(master.start)
    restart_s = time.monotonic() - began
    await swarm.until_newer(fences)
    return {"restart_s": restart_s, "storm_healed_s": time.monotonic() - began}


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(_PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - many agents, no single event
            await asyncio.sleep(_POLL_S)


@contextlib.contextmanager
def _place(kind: str) -> Iterator[tuple[Path, str]]:
    """Gives the folder of a master and the address of its database; empty for SQLite."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        url = ""
        if kind == "postgresql":
            cluster = Postgres(is_durable=True)
            stack.callback(cluster.close)
            url = cluster.database()
        yield Path(folder), url


def measured(asked: argparse.Namespace) -> dict[str, Any]:
    """Returns what agents see of a new master with so many of them."""
    allow_descriptors(asked.agents)
    with _place(asked.database) as (folder, url), contextlib.ExitStack() as stack:
        master = Master(folder, url)
        stack.callback(master.kill)
        quotas = {"agents": asked.agents + 100, "requests_per_minute": 1_000_000}
        (workspace,) = master.ask("/api/v1/workspaces")["items"]
        place = f"organisations/{workspace['organisation_id']}/workspaces/{workspace['id']}/quotas"
        master.ask(f"/api/v1/{place}", quotas, "PATCH")
        master.ask(f"{W}/fleets", {"name": FLEET})
        routes = write_config(master, asked.manifest_kib)
        found = asyncio.run(measure(master, asked.agents, asked.quiet))
    return {"database": asked.database, "routes": routes, **found}


def main() -> None:
    """Runs the parts and prints their results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=10_000)
    parser.add_argument("--quiet", type=float, default=30.0, help="seconds of heartbeats")
    parser.add_argument("--manifest-kib", type=int, default=64)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--part", choices=("agents", "first"), help="only this part")
    parser.add_argument("--report", type=Path, help="a page whose tables are written anew")
    asked = parser.parse_args()
    report: dict[str, Any] = {"machine": machine.limits()}
    if asked.part != "agents":
        report["first"] = first_times.measured()
    if asked.part != "first":
        report |= measured(asked)
    sys.stdout.write(json.dumps(report, indent=1) + "\n")
    if asked.report is not None:
        asked.report.write_text(scale_report.written(asked.report.read_text(), report))


if __name__ == "__main__":
    main()
