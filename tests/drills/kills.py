"""Kills the control process, then the data plane, and measures how long each is away.

    .venv/bin/python tests/drills/kills.py [--kills 10]

A control process is back when the next one answers `GET /status`, a data plane when a request is
answered. Prints the median and the longest of each, in seconds. The exit code is 1 when the median
of the control process is over 2 s.
"""

import argparse
import os
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from ports import free_port
from running_node import RunningNode, Upstream, config, get
from waiting import until

from headgate.cli import calls

_BOUND_S = 2.0


def main() -> int:
    """Runs the drill; the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=10)
    count = parser.parse_args().kills
    upstream, port = Upstream("one"), free_port()
    with tempfile.TemporaryDirectory(prefix="hg-") as name:
        node = RunningNode(Path(name), config(port, upstream.address)).until_ready()
        try:
            control = [_kill_control(node) for _ in range(count)]
            plane = [_kill_plane(node, port) for _ in range(count)]
        finally:
            node.process.kill()
            node.process.wait()
    upstream.close()
    for what, times in (("control process", control), ("data plane", plane)):
        median, longest = statistics.median(times), max(times)
        sys.stdout.write(f"{what}: {count} kills, median {median:.2f} s, longest {longest:.2f} s\n")
    load = os.getloadavg()[0]
    sys.stdout.write(f"load average {load:.1f} on {os.cpu_count()} CPUs\n")
    return int(statistics.median(control) > _BOUND_S)


def _kill_control(node: RunningNode) -> float:
    before = _control(node)
    begun = time.monotonic()
    os.kill(before, signal.SIGKILL)
    until(lambda: _control(node) not in (0, before), "the next control process")
    return time.monotonic() - begun


def _control(node: RunningNode) -> int:
    try:
        control = node.status()["control"]
    except calls.NoNodeError:
        return 0
    assert isinstance(control, dict)
    return int(control["pid"])


def _kill_plane(node: RunningNode, port: int) -> float:
    generation, pid = node.data_plane()
    begun = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    until(lambda: node.data_plane()[0] > generation, "the next data plane")
    get(port)
    return time.monotonic() - begun


if __name__ == "__main__":
    sys.exit(main())
