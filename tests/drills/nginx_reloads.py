"""Reloads of a real nginx under load: what clients lose through us beside `nginx -s reload`.

    python tests/drills/nginx_reloads.py --reloads 20 --clients 8

Two rounds each of clients that keep their connection and of clients that make a new one per
request. In one the releases are applied by us (staged, tested, swapped, signalled, verified), in
the other the same files are written and `nginx -s reload` is called, at the pace that ours took.
nginx before 1.27.4 closes idle keep-alive connections at a reload while a request may be on its
way; that is nginx's own loss. Prints Markdown; the exit code is 1 when a client without keep-alive
lost a request, or when more was lost through us than spread explains.
"""

import argparse
import multiprocessing as mp
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from real_nginx import Client, RealNginx

from headgate.engines.nginx.common.types import Generation

SPREAD = 3.0
"""Losses of keep-alive clients vary between rounds about so much."""


@dataclass(frozen=True)
class Lost:
    """What a round's clients saw."""

    answers: int
    lost: int
    took_s: float


def clients(port: int, count: int, keep_alive: bool, end: Event, results: "mp.Queue[Lost]") -> None:
    """A process of clients, so that ours is free to apply."""
    all_of_them = [Client(port, keep_alive=keep_alive, timeout_s=1.0) for _ in range(count)]
    for one in all_of_them:
        one.start()
    end.wait()
    for one in all_of_them:
        one.__exit__()
    results.put(
        Lost(sum(one.answers for one in all_of_them), sum(len(one.lost) for one in all_of_them), 0)
    )


def round_of(nginx: RealNginx, count: int, keep_alive: bool, work: Callable[[], None]) -> Lost:
    """One round: clients, the reloads, what was lost."""
    context = mp.get_context("spawn")
    end, results = context.Event(), context.Queue()
    process = context.Process(target=clients, args=(nginx.port, count, keep_alive, end, results))
    process.start()
    before = nginx.answered()
    while nginx.answered() < before + 200:
        time.sleep(0.05)
    began = time.monotonic()
    work()
    took = time.monotonic() - began
    end.set()
    found = results.get(timeout=60)
    process.join()
    return Lost(found.answers, found.lost, took)


def through_us(nginx: RealNginx, reloads: int) -> Callable[[], None]:
    """Applies by us."""

    def work() -> None:
        for _ in range(reloads):
            nginx.must_apply()

    return work


def by_hand(nginx: RealNginx, reloads: int, pace_s: float) -> Callable[[], None]:
    """`nginx -s reload` on files that were written before, as a script would."""

    def work() -> None:
        for _ in range(reloads):
            began = time.monotonic()
            generation = Generation(nginx.store.highest_generation() + 1)
            nginx.store.link(
                "current", nginx.store.stage(nginx.rendered(generation), generation).name
            )
            root = nginx.root
            subprocess.run(
                [
                    nginx.binary,
                    *nginx.place.arguments(f"{root}/current/nginx.conf"),
                    "-s",
                    "reload",
                ],
                check=True,
            )
            time.sleep(max(pace_s - (time.monotonic() - began), 0))

    return work


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reloads", type=int, default=20)
    parser.add_argument("--clients", type=int, default=8)
    options = parser.parse_args()
    rows: list[tuple[str, bool, Lost]] = []
    with (
        tempfile.TemporaryDirectory(prefix="hg-") as root,
        RealNginx(Path(root), soak_s=0.0) as nginx,
    ):
        nginx.must_apply()
        for keep_alive in (False, True):
            ours = round_of(nginx, options.clients, keep_alive, through_us(nginx, options.reloads))
            pace = ours.took_s / options.reloads
            plain = round_of(
                nginx, options.clients, keep_alive, by_hand(nginx, options.reloads, pace)
            )
            rows += [("headgate", keep_alive, ours), ("nginx -s reload", keep_alive, plain)]
    sys.stdout.write(markdown(rows, options.reloads))
    closing = [row for row in rows if not row[1]]
    kept = {who: found for who, keep_alive, found in rows if keep_alive}
    is_bad = any(found.lost for who, _, found in closing if who == "headgate")
    too_many = kept["headgate"].lost > SPREAD * max(kept["nginx -s reload"].lost, options.clients)
    return 1 if is_bad or too_many else 0


def markdown(rows: list[tuple[str, bool, Lost]], reloads: int) -> str:
    """The table."""
    lines = [
        f"| {reloads} reloads by | clients | answered | lost | time |",
        "|---|---|---|---|---|",
    ]
    for who, keep_alive, found in rows:
        kind = "keep-alive" if keep_alive else "close"
        lines.append(f"| {who} | {kind} | {found.answers} | {found.lost} | {found.took_s:.1f} s |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
