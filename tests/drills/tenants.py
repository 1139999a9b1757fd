"""Measures what one tenant notices while another one sends far more than its quota.

    python tests/drills/tenants.py [--database postgresql] [--rounds 5] [--seconds 10]
        [--one-address]

A real master has two organisations. The calm one sends reads and conditional writes at a fixed
rate, and watches its events. In every second phase the other one floods the master with reads,
writes and wrong tokens, each connection as fast as it gets answers, from a process of its own. The
latency of a request counts from the time at which it was due. The table has, for each kind of
phase, the median over the rounds and the extremes. The exit code is 1 if the calm tenant got an
error or lost an event or a write, or if the flood was not refused beyond its quota or changed
anything there.
"""

import argparse
import asyncio
import contextlib
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import drill_parts  # noqa: F401 - it makes the tests' support importable
from master_process import MasterProcess, call, master
from postgres import Postgres
from tenants_calm import OBJECTS, Calm, name
from tenants_flood import Flooder
from tenants_judge import Record, faults
from tenants_table import Busy, Phase, lines

CALM = "127.0.0.1"
_SLICE_S = 0.5
_ADDRESSES = {"reads": "127.0.0.2", "writes": "127.0.0.2", "wrong tokens": "127.0.0.3"}


class Tenant:
    """An organisation with one workspace, and a token of its operator."""

    def __init__(self, one: MasterProcess, admin: str, organisation: str) -> None:
        self._base, self._admin = f"{one.base}/api/v1", admin
        self.organisation = organisation
        call(f"{self._base}/organisations", {"name": organisation}, admin)
        path = f"{self._base}/organisations/{organisation}/workspaces"
        self.workspace = str(call(path, {"name": "default"}, admin)["id"])
        new = {"name": "drill", "role": "operator", "workspace": self.workspace}
        made = call(f"{self._base}/tokens?organisation={organisation}", new, admin)
        self.token = str(made["secret"])
        self.objects()  # the master knows the token from now on, whatever else comes from here

    def allow(self, per_minute: int) -> None:
        """Sets the number of requests that the workspace may make."""
        path = f"organisations/{self.organisation}/workspaces/{self.workspace}/quotas"
        body = {"requests_per_minute": per_minute}
        call(f"{self._base}/{path}", body, self._admin, method="PATCH")

    def objects(self) -> dict[str, tuple[int, str]]:
        """Version and content of each object of the workspace."""
        url = f"{self._base}/workspaces/{self.workspace}/resources?limit=100"
        items = call(url, None, self.token)["items"]
        return {one["name"]: (one["version"], one["spec"]["respond"]["body"]) for one in items}


class Drill:
    """Both tenants, and what is known of them."""

    def __init__(self, options: argparse.Namespace, one: MasterProcess) -> None:
        self.options = options
        self.master = one
        admin = one.set_up()
        self.calm_tenant, self.tenant = (Tenant(one, admin, at) for at in ("calm", "flood"))
        self.tenant.allow(options.quota)
        host, port = one.base.rpartition("/")[2].split(":")
        self.place = (host, int(port))
        self.record = Record()
        self.phases: list[Phase] = []

    async def play(self) -> None:
        """Every phase; then what is left."""
        tenant = self.calm_tenant
        calm = Calm(self.place, CALM, tenant.workspace, tenant.token)
        ready = asyncio.Event()
        watching = asyncio.create_task(calm.watch(ready))
        await ready.wait()
        for index in range(OBJECTS):
            await calm.write(index, "first", time.monotonic())
        await calm.stream(self.options.rate, 1)
        begun = time.monotonic()
        for turn in range(1, self.options.rounds + 1):
            await self._phase(calm, turn, is_flood=False)
            await self._phase(calm, turn, is_flood=True)
        lasted = time.monotonic() - begun
        await calm.until_told()
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        calm.close()
        for phase in self.phases:
            phase.take_events(calm.event_latencies())
        self._keep(calm, lasted)

    async def _phase(self, calm: Calm, turn: int, *, is_flood: bool) -> None:
        options = self.options
        flooder = await Flooder.start(self._job(turn)) if is_flood else None
        busy = Busy(self.master.process.pid)
        if flooder is not None:
            flooder.go()
        samples = await calm.stream(options.rate, options.seconds)
        self.record.calm += samples
        shares, told = busy.shares(), None
        if flooder is not None:
            ending = asyncio.create_task(flooder.end())
            while not ending.done():  # also once after the flood: what it caused may last longer
                self.record.calm += await calm.stream(options.rate, _SLICE_S)
            told = await ending
        self.phases.append(Phase(is_flood, samples, shares, told))

    def _job(self, turn: int) -> dict[str, Any]:
        options, kinds = self.options, list(_ADDRESSES)
        each = {kind: options.connections // len(kinds) for kind in kinds}
        each["writes"] += options.connections % len(kinds)
        return {
            "host": self.place[0],
            "port": self.place[1],
            "addresses": dict.fromkeys(kinds, CALM) if options.one_address else _ADDRESSES,
            "connections": each,
            "place": f"/api/v1/workspaces/{self.tenant.workspace}",
            "token": self.tenant.token,
            "round": turn,
        }

    def _keep(self, calm: Calm, lasted: float) -> None:
        """Puts everything into the record."""
        record, told = self.record, [one.flood for one in self.phases if one.flood is not None]
        record.seen = calm.seen
        of_each = zip(calm.versions, calm.written, strict=True)
        record.wanted = {name(index): one for index, one in enumerate(of_each)}
        record.found = self.calm_tenant.objects()
        record.floods = [one["statuses"] for one in told]
        record.without_wait = sum(one["without_wait"] for one in told)
        record.most_admitted = self.options.quota * (1 + lasted / 60)
        for one in told:
            record.written.update(one["written"])
        self.tenant.allow(1_000_000)
        found = self.tenant.objects()
        record.versions = Counter({key: version for key, (version, _) in found.items()})


def tried(options: argparse.Namespace) -> Drill:
    """Plays the drill on a master of its own."""
    with contextlib.ExitStack() as ends:
        folder = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="hg-")))
        url = ""
        if options.database == "postgresql":
            postgres = Postgres(is_durable=True)
            ends.callback(postgres.close)
            url = postgres.database()
        one = ends.enter_context(master(folder, "--listen", f"{CALM}:0", database_url=url))
        drill = Drill(options, one)
        asyncio.run(drill.play())
        return drill


def main() -> int:
    """Reads the command line; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--rounds", type=int, default=5, help="each a quiet phase and a flood")
    parser.add_argument("--seconds", type=float, default=10, help="how long each phase lasts")
    parser.add_argument("--rate", type=float, default=20, help="requests/s of the calm tenant")
    parser.add_argument("--connections", type=int, default=16, help="of the flood")
    parser.add_argument("--quota", type=int, default=600, help="requests/min of the flood")
    parser.add_argument("--one-address", action="store_true", help="both have the same address")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    drill = tried(options)
    found = faults(drill.record)
    for line in (*lines(drill.phases), f"load before: {load:.2f}", *found):
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(f"{len(found)} faults\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
