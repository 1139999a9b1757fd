"""`make scale`: one master process and many simulated agents, each with its own certificate,
connection (gRPC, mTLS) and session. Prints what it measured, with the machine's limits, as JSON.

The agents are real at the wire: sessions, frames, blobs. They share the reading of manifests, so
that one process can stand for many machines, and serve at once.
"""

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from headgate.fleet.manifest import manifest_of
from headgate.master.dev.config_dir import files_of
from headgate.master.dev.joining import Rest
from headgate.master.dev.swarm import Swarm, allow_descriptors, published

MANIFEST_BYTES = 64 << 10
_ROUNDS = 5
_QUIET_S = 30.0
_MIB = 1 << 20
_HOST = "127.0.0.1"


class Master:
    """A fake master in a process of its own, at the same ports each time."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "config"
        self.config.mkdir()
        self._authority = folder / "authority"
        self._ports = (0, 0)
        self.told: dict[str, str] = {}
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Starts it and reads what it says."""
        headgate = str(Path(sys.executable).with_name("headgate"))
        rest, grpc = self._ports
        command = [headgate, "dev", "fake-master", str(self.config), f"--rest-port={rest}"]
        command += [f"--grpc-port={grpc}", f"--authority={self._authority}"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        said = self._process.stdout.readline() if self._process.stdout else ""
        if not said:
            raise SystemExit("scale: the master did not start")
        self.told = json.loads(said)
        ports = (self.told[name].rpartition(":")[2] for name in ("rest", "grpc"))
        self._ports = (int(next(ports)), int(next(ports)))

    def kill(self) -> None:
        """Kills it, as a machine does that fails."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._process.stdout:
                self._process.stdout.close()

    def rss_bytes(self) -> int:
        """Its resident memory."""
        pages = int(self._proc("statm").split()[1])
        return pages * resource.getpagesize()

    def cpu_s(self) -> float:
        """The CPU time that it has used."""
        user, system = (int(one) for one in self._proc("stat").rpartition(")")[2].split()[11:13])
        return (user + system) / os.sysconf("SC_CLK_TCK")

    def _proc(self, name: str) -> str:
        pid = self._process.pid if self._process else 0
        return Path(f"/proc/{pid}/{name}").read_text()


def write_config(folder: Path) -> int:
    """Writes routes until their manifest has 64 KiB; returns its size."""
    count = 0
    text = '[upstreams.api]\nendpoints = ["127.0.0.1:9"]\n'
    size = 0
    while size < MANIFEST_BYTES:
        more = (f'[routes.r{n}]\nupstream = "api"\n' for n in range(count, count + 20))
        text += "".join(more)
        count += 20
        (folder / "config.toml").write_text(text)
        size = len(manifest_of("fleet", 1, files_of(folder)).canonical())
    return size


async def measure(master: Master, count: int, quiet_s: float) -> dict[str, Any]:
    """Returns what `count` agents see of this master."""
    rest = Rest(master.told["rest"], master.told["pin"])
    idle = master.rss_bytes()
    agents = [rest.enrol(master.told["token"]) for _ in range(count)]
    found: dict[str, Any] = {"agents": count, "idle_mib": idle // _MIB}
    async with Swarm(agents, master.told["grpc"]) as swarm:
        cpu_s = master.cpu_s()
        found["connected_s"] = await swarm.until_live()
        found["connect_cpu_s"] = master.cpu_s() - cpu_s
        await published(rest, True, count)  # the first one fetches every blob
        found["connected_mib"] = master.rss_bytes() // _MIB
        for form, complete in (("complete", True), ("difference", False)):
            cpu_s = master.cpu_s()
            rounds = [await published(rest, complete, count) for _ in range(_ROUNDS)]
            found[form] = [asdict(one) for one in rounds]
            found[f"{form}_cpu_s"] = (master.cpu_s() - cpu_s) / _ROUNDS
        cpu_s, began = master.cpu_s(), time.monotonic()
        await asyncio.sleep(quiet_s)
        found["heartbeats_share_of_core"] = (master.cpu_s() - cpu_s) / (time.monotonic() - began)
        found["mib"] = master.rss_bytes() // _MIB
        fences = [agent.session.work.fence for agent in swarm.agents]
        master.kill()
        began = time.monotonic()
        await asyncio.to_thread(master.start)
        found["restart_s"] = time.monotonic() - began
        await swarm.until_newer(fences)
        found["storm_healed_s"] = time.monotonic() - began
    return found


def machine() -> dict[str, Any]:
    """What this machine allows."""
    return {
        "cpus": os.cpu_count(),
        "memory_gib": os.sysconf("SC_PHYS_PAGES") * resource.getpagesize() // (1 << 30),
        "descriptors": resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        "load": os.getloadavg()[0],
    }


def main() -> None:
    """Runs the case and prints its result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=10_000)
    parser.add_argument("--quiet", type=float, default=_QUIET_S, help="seconds of heartbeats")
    asked = parser.parse_args()
    allow_descriptors(asked.agents)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        master = Master(folder)
        size = write_config(master.config)
        stack.callback(master.kill)
        master.start()
        result = asyncio.run(measure(master, asked.agents, asked.quiet))
    report = {"machine": machine(), "manifest_bytes": size, **result}
    sys.stdout.write(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
