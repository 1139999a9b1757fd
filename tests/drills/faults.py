"""The rows of the fault matrix that concern a node on its own, each against a real node.

    python tests/drills/faults.py             every row
    python tests/drills/faults.py --row 4 --row 10

Prints PASS, FAIL or SKIP with what was seen, and writes it into docs/internals/fault-matrix.md,
where rows that were not run stay as they are. The exit code is 1 when a row failed.
"""

import argparse
import re
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import fault_changes as changes
import fault_files as files
import fault_planes as planes
import fault_reloads as reloads
import fault_resources as resources
import fault_reuse as reuse
import fault_udp as udp
import fault_upgrade as upgrade
import fault_upstreams as upstreams
import fault_workers as workers
from drill_parts import ROOT
from fault_lab import Lab, Seen, SkippedError

DOCUMENT = ROOT / "docs" / "internals" / "fault-matrix.md"


@dataclass(frozen=True)
class Row:
    """A row of the matrix."""

    fault: str
    must: str
    run: Callable[[Lab, Seen], None]


ROWS = {
    1: Row(
        "endpoint killed under load",
        "other endpoints take over; only what was in flight on it fails, with 502; nothing hangs",
        upstreams.killed_backend,
    ),
    2: Row(
        "upstream resets in the midst of an answer",
        "a visible truncation, never a clean end; the connection is not used again",
        upstreams.reset_in_body,
    ),
    3: Row(
        "upstream closes as a pooled connection is used again",
        "idempotent requests are tried again; others never reach an upstream twice",
        reuse.closing_upstream,
    ),
    4: Row(
        "upstream sends one byte a second",
        "a timeout for each phase; other routes do not feel it",
        upstreams.slow_backend,
    ),
    5: Row(
        "upstream accepts and never answers, or does not even accept",
        "first-byte and connect timeouts; a good endpoint takes over",
        upstreams.half_open_backend,
    ),
    6: Row(
        "name server fails, is silent, denies, answers otherwise",
        "last good addresses are kept, their age is shown; a changed answer is followed",
        upstreams.dns,
    ),
    7: Row(
        "all endpoints down",
        "502 or 503 with a reason at once; recovers with the first endpoint",
        upstreams.all_down,
    ),
    9: Row(
        "clients reset in uploads and downloads",
        "the upstream's side is ended, nothing leaks, not counted as the endpoint's failure",
        upstreams.client_abort,
    ),
    10: Row(
        "slow heads, slow bodies, range attack (slowhttptest)",
        "slow clients are cut off in time; others are served as before",
        resources.slow_clients,
    ),
    12: Row(
        "data plane killed with SIGKILL; one worker of two lost",
        "replaced within a second by the last good plan; only the lost worker's connections are "
        "lost; counted",
        workers.lost,
    ),
    13: Row(
        "more than 1,000 reloads a minute, two at a time, under load and WebSocket echoes",
        "no failure, each WebSocket connection lives on; the last config wins",
        reloads.reloads_under_load,
    ),
    14: Row(
        "invalid configs",
        "refused whole with file, line and path; the old config serves",
        changes.invalid_configs,
    ),
    15: Row(
        "config half-written, cut, unreadable (mode 000), a swapped or dangling link, a folder",
        "never applied in part; the old config serves; a good one is taken again",
        files.spoiled_files,
    ),
    21: Row(
        "disk full",
        "traffic goes on; log lines are dropped and counted; old files stay intact",
        resources.disk_full,
    ),
    22: Row(
        "out of file descriptors",
        "open connections are served; no spinning; recovers",
        resources.no_descriptors,
    ),
    24: Row(
        "wall clock a day forward, a day back",
        "timeouts and traffic do not notice",
        resources.clock_jump,
    ),
    25: Row(
        "certificate expired, of another name, of another key",
        "a wrong pair is refused and the old one kept; a bad upstream certificate is 502",
        changes.certificates,
    ),
    35: Row(
        "closed UDP port, 100,000 source ports",
        "flows and descriptors stay bounded, idle flows end, nothing leaks; what is dropped is "
        "counted",
        udp.closed_port,
    ),
    36: Row(
        "upgrade to a second wheel and back, under load",
        "each request is handled by the old or the new one, none refused; going back works",
        upgrade.upgrades,
    ),
    37: Row(
        "two planes, each upgraded to a second wheel and back, under load",
        "no request and no connection is lost, whichever side is newer, and without the link",
        planes.two_planes_upgraded,
    ),
}


def run(number: int) -> tuple[str, str]:
    """Runs a row: PASS, FAIL or SKIP, and what was seen."""
    row, seen = ROWS[number], Seen()
    with tempfile.TemporaryDirectory(prefix="hg-", ignore_cleanup_errors=True) as folder:
        lab = Lab(Path(folder))
        try:
            row.run(lab, seen)
        except SkippedError as reason:
            return "SKIP", str(reason)
        except Exception as error:  # a row that breaks must not end the others
            seen.check(f"the drill ended with {type(error).__name__}: {error}"[:300], False)
        finally:
            lab.close()
    return ("PASS" if seen.passed else "FAIL"), seen.text()


def write(results: dict[int, tuple[str, str]]) -> None:
    """Puts results into the rows that the document has for them; the rest of it stays."""
    lines = DOCUMENT.read_text().splitlines()
    day = time.strftime("%Y-%m-%d", time.gmtime())
    missing = set(results)
    for at, line in enumerate(lines):
        found = re.match(r"\| (\d+) \|", line)
        number = int(found[1]) if found else 0
        if number not in missing:
            continue
        missing.remove(number)
        row, (result, text) = ROWS[number], results[number]
        told = re.sub(r"/tmp/hg-[^/\s]+", "…", text).replace("|", "\\|").replace("\n", " ")
        lines[at] = f"| {number} | {row.fault} | {row.must} | {result}, {day} | {told} |"
    DOCUMENT.write_text("\n".join(lines) + "\n")
    if missing:
        sys.exit(f"{DOCUMENT} has no row {min(missing)}; add a line for it")


def main() -> int:
    """Reads the arguments and runs; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--row", type=int, action="append", choices=sorted(ROWS))
    parser.add_argument("--no-write", action="store_true", help="leave the document as it is")
    given = parser.parse_args()
    results: dict[int, tuple[str, str]] = {}
    for number in given.row or sorted(ROWS):
        began = time.monotonic()
        results[number] = run(number)
        result, text = results[number]
        took = time.monotonic() - began
        sys.stdout.write(f"row {number} {result} ({took:.0f} s): {text}\n")
        sys.stdout.flush()
    if not given.no_write:
        write(results)
    return 1 if any(result == "FAIL" for result, _ in results.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
