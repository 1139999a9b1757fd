"""`kill -9` of the process that applies to a real nginx, at every step of the journal.

    python tests/drills/nginx_kill.py --times 20

For every point (a step journaled, its action done) a process applies a release and kills itself
there. Meanwhile a client asks nginx on fresh connections. Then:

- every file of `current` must be as its manifest says, and `current` be the old or the new release;
- the boot guard, on a copy of the folder, must choose a release that was verified, and `nginx -t`
  accept it;
- the next start (`recover`) must finish or undo: `current`, `known_good` and what nginx answers are
  then the same release, and the journal has nothing open.

Prints Markdown; the exit code is 1 when something of this did not hold, or a request was lost.
"""

import argparse
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from real_nginx import Client, RealNginx

from headgate.engines.nginx.apply.journal import Journal
from headgate.engines.nginx.apply.replay import Settled, replay

RUNNER = Path(__file__).with_name("nginx_kill_runner.py")
FORWARD = ("fetch", "stage", "lint", "test", "preflight", "swap", "signal", "commit")
POINTS: dict[str, tuple[str, ...]] = {
    "good": (
        *(f"{step}:{end}" for step in FORWARD for end in ("recorded", "done")),
        "verify:recorded",
        "soak:recorded",
        "done:recorded",
    ),
    "rejected": (
        *(
            f"{step}:{end}"
            for step in ("rollback", "rollback_signal")
            for end in ("recorded", "done")
        ),
        "rollback_verify:recorded",
    ),
    "partial": (
        *(
            f"{step}:{end}"
            for step in ("rollback", "rollback_signal")
            for end in ("recorded", "done")
        ),
        "rollback_verify:recorded",
    ),
    "lost": ("known_good:recorded", "known_good:done"),
}
PAUSE_S = 0.005
TESTED = 2
"""Runs per point after which `nginx -t` is not asked again: what it tests is the same."""
MEANING = {
    "good": "a release that serves",
    "rejected": "a release that nginx refuses (zone clash)",
    "partial": "a release with the wrong certificate",
    "lost": "the same, and the old release does not verify either",
}


@dataclass
class Row:
    """What one point showed."""

    kind: str
    point: str
    runs: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    guards: Counter[str] = field(default_factory=Counter)
    recover_s: list[float] = field(default_factory=list)
    guard_s: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


class Drill:
    """One nginx, one runner, one client, all points."""

    def __init__(self, root: Path, scratch: Path) -> None:
        self.nginx = RealNginx(root, blind=True, soak_s=0.1)
        self.scratch = scratch
        self.helper = socket.socket()
        self.helper.bind(("127.0.0.1", 0))
        self.helper.listen(512)
        self.address = "{}:{}".format(*self.helper.getsockname())
        self.runner = subprocess.Popen(
            [sys.executable, RUNNER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )

    def close(self) -> None:
        """Ends all of it."""
        self.runner.kill()
        self.runner.wait()
        self.nginx.__exit__()
        self.helper.close()

    def order(self, kind: str, point: str = "") -> str:
        """Has the runner do something; how that ended."""
        assert self.runner.stdin is not None and self.runner.stdout is not None
        order = {
            "root": str(self.nginx.root),
            "port": str(self.nginx.port),
            "kind": "partial" if kind == "lost" else kind,
            "point": point,
            "helper": self.address,
        }
        self.runner.stdin.write(json.dumps(order) + "\n")
        self.runner.stdin.flush()
        return self.runner.stdout.readline().strip()

    def once(self, row: Row) -> None:
        """One kill at one point, and what follows."""
        row.runs += 1
        store = self.nginx.store
        old = store.linked("current")
        with self.without_helper(row.kind == "lost"):
            said = self.order(row.kind, row.point)
        if said != "killed by 9":
            row.wrong.append(f"the process was not killed: {said}")
        self.check_disk(row, str(old))
        self.check_guard(row, str(old))
        began = time.monotonic()
        said = self.order("recover")
        row.recover_s.append(time.monotonic() - began)
        if said.startswith("raised"):
            row.wrong.append(said)
        self.check_end(row, str(old))

    def check_disk(self, row: Row, old: str) -> None:
        """`current` is the old or the new release, as a whole."""
        current = self.nginx.store.linked("current")
        newest = self.nginx.store.names()[-1]
        if current is None or str(current) not in {old, str(newest)}:
            row.wrong.append(f"current is {current}, neither {old} nor {newest}")
        elif self.nginx.store.verify(current):
            row.wrong.append(f"{current} is not whole")
        if self.nginx.generation() == 0:
            row.wrong.append("nginx does not answer")

    def check_guard(self, row: Row, old: str) -> None:
        """What a host that reboots now would start nginx with."""
        copy = self.scratch / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.nginx.root, copy, symlinks=True, ignore=only_state)
        began = time.monotonic()
        guarded = subprocess.run(
            [sys.executable, "-m", "headgate.engines.nginx.apply.guard", "--root", copy],
            capture_output=True,
            text=True,
            check=False,
        )
        row.guard_s.append(time.monotonic() - began)
        link = (copy / "current").readlink().name
        is_new = link != old
        row.guards["new" if is_new else "old"] += 1
        if guarded.returncode != 0:
            row.wrong.append(f"guard: {guarded.stderr}")
        if is_new and row.point.split(":")[0] not in {"commit", "done"}:
            row.wrong.append(f"the guard chose {link}, which nobody had proven")
        if row.runs <= TESTED:
            tested = self.nginx.instance.test(f"{copy}/current/nginx.conf")
            if not tested.ok:
                row.wrong.append(f"nginx -t after the guard: {tested.problems}")

    def check_end(self, row: Row, old: str) -> None:
        """After the next start all is one release, proven."""
        links = self.nginx.links()
        generation = self.nginx.generation()
        decision = replay(Journal(self.nginx.root / "journal").records())
        row.ends["kept the old" if links["current"] == old else "finished the new"] += 1
        if links["current"] != links["known_good"]:
            row.wrong.append(f"links {links}")
        if links["current"].split("-")[0] != str(generation):
            row.wrong.append(f"{generation} answers, {links['current']} is current")
        if not isinstance(decision, Settled):
            row.wrong.append(f"the journal is open: {decision}")

    @contextlib.contextmanager
    def without_helper(self, is_closed: bool) -> Iterator[None]:
        """Closes the listener that every release needs, for a while."""
        if not is_closed:
            yield
            return
        address = self.helper.getsockname()
        self.helper.close()
        try:
            yield
        finally:
            self.helper = socket.socket()
            self.helper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.helper.bind(address)
            self.helper.listen(512)


def only_state(folder: str, names: list[str]) -> list[str]:
    """Sockets and logs are not copied."""
    return [name for name in names if name in {"run", "logs", "edited"}]


def drill(kinds: list[str], times: int) -> tuple[list[Row], Client]:
    """All points of some kinds."""
    rows = [Row(kind, point) for kind in kinds for point in POINTS[kind]]
    with (
        tempfile.TemporaryDirectory(prefix="hg-") as root,
        tempfile.TemporaryDirectory(prefix="hg-") as scratch,
    ):
        one = Drill(Path(root), Path(scratch))
        try:
            first = one.order("good")
            assert first == "Applied", first
            with Client(one.nginx.port, pause_s=PAUSE_S) as client:
                for row in rows:
                    for _ in range(times):
                        one.once(row)
                    sys.stderr.write(f"{row.kind} {row.point}: {row.runs}, {row.wrong or 'ok'}\n")
        finally:
            one.close()
    return rows, client


def markdown(rows: list[Row], client: Client) -> str:
    """The table, and what clients saw."""
    lines = [
        "| applied | killed at | runs | the guard starts | the next start | took, median | wrong |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        ends = ", ".join(f"{what}: {count}" for what, count in sorted(row.ends.items()))
        guards = ", ".join(f"{what}: {count}" for what, count in sorted(row.guards.items()))
        median = sorted(row.recover_s)[len(row.recover_s) // 2]
        lines.append(
            f"| {MEANING[row.kind]} | `{row.point}` | {row.runs} | {guards} | {ends} |"
            f" {median:.2f} s | {'; '.join(row.wrong) or '0'} |"
        )
    guard_ms = sorted(1000 * took for row in rows for took in row.guard_s)
    total = sum(row.runs for row in rows)
    lines.append("")
    lines.append(
        f"{total} kills; guard {guard_ms[len(guard_ms) // 2]:.0f} ms median,"
        f" {guard_ms[-1]:.0f} ms longest; {client.answers} requests on fresh connections"
        f" meanwhile, {len(client.lost)} lost."
    )
    return "\n".join([*lines, *(f"- lost: {what}" for _, what in client.lost[:10])]) + "\n"


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20, help="kills per point")
    parser.add_argument("--kinds", default=",".join(POINTS), help="which kinds of release")
    options = parser.parse_args()
    rows, client = drill(options.kinds.split(","), options.times)
    sys.stdout.write(markdown(rows, client))
    return 1 if client.lost or any(row.wrong for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
