"""Streams through a TCP route, compared byte for byte at both ends.

    python tests/drills/relay.py                          10,000 sessions
    python tests/drills/relay.py --sessions 400 --kind both

Each session draws from its number what both ends send (up to 960 KB), in which pieces, after which
of them an end waits for their arrival, and which end closes its half first. Sessions are shared out
between plain TCP and TLS that is ended here, begun here, or both. `tests/e2e/test_tcp_streams.py`
plays some of them with every change. Prints what passed; the exit code is 1 once a byte differs.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import drill_parts  # noqa: F401 - finds what tests share
from ports import free_port
from random_streams import SIDES, Endpoint, sessions, way

RESIDENT = "headgate_dataplane_resident_bytes"


def descriptors(pid: int) -> int:
    """How many files a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def play(kind: str, numbers: range) -> None:
    """Plays the sessions of these numbers; prints what was seen."""
    with (
        tempfile.TemporaryDirectory(prefix="hg-") as folder,
        way(Path(folder), free_port(), SIDES[kind], Endpoint) as through,
    ):
        pid = through.node.data_plane()[1]
        warm = len(numbers) // 10
        sessions(through, numbers[:warm])
        before, memory = descriptors(pid), through.node.metric(RESIDENT)
        began = time.monotonic()
        total = sessions(through, numbers[warm:])
        took = time.monotonic() - began
        after, grown = descriptors(pid), (through.node.metric(RESIDENT) - memory) / 2**20
    sys.stdout.write(
        f"{kind}: {len(numbers):,} sessions, every byte and every end as sent; the last "
        f"{len(numbers) - warm:,}: {total / 1e6:,.0f} MB in {took:.0f} s, "
        f"descriptors {before} -> {after}, memory {grown:+.1f} MiB\n"
    )
    sys.stdout.flush()


def main() -> int:
    """Reads the arguments and runs; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=10_000, help="in all (10000)")
    parser.add_argument("--kind", action="append", choices=SIDES, help="all of them")
    given = parser.parse_args()
    kinds = given.kind or list(SIDES)
    for at, kind in enumerate(kinds):
        first, end = (given.sessions * n // len(kinds) for n in (at, at + 1))
        play(kind, range(first, end))
    return 0


if __name__ == "__main__":
    sys.exit(main())
