"""Everything at once under full load: reloads, dead endpoints, a dead control process, upgrades.

    python tests/drills/storm.py --seconds 60 --workers 1,2

Reloads the config ten times a second, kills and revives an endpoint four times, kills the control
process with SIGKILL and runs `headgate upgrade` twice, while a keep-alive client asks as fast as it
is answered. Every failure is classified with its time. Allowed: 502, 503, 504 and cut answers of
requests in flight while an endpoint died; nothing else, and no reset at all. Prints Markdown; the
exit code is 1 when something else failed, or when a reload or an upgrade did. `storm_grpc.py` and
`storm_http2.py` are the same with gRPC and HTTP/2.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drill_parts import CLIENT, Endpoint, compiled, control_pid, stamp
from ports import free_port
from running_node import RunningNode

from headgate.cli import calls

CONNECTIONS = 64
RELOAD_EVERY_S = 0.1
IN_FLIGHT_S = 0.5
DOWN_S = 1.0
UPGRADES = 2
CONFIG = """
[node]
admin = "off"
drain = {{ delay = "50ms", idle_grace = "500ms", deadline = "10s" }}

[listeners.web]
address = "127.0.0.1:{port}"
protocol = "http"
default = true
{listener}
[routes.all]
upstream = "app"
middlewares = [{{ response_headers = {{ set = {{ x-turn = "{turn}" }} }} }}]

[upstreams.app]
endpoints = [{endpoints}]
{upstream}
"""


@dataclass
class Story:
    """What was done when; wall clock seconds."""

    events: list[tuple[float, str]] = field(default_factory=list)
    kills: list[float] = field(default_factory=list)
    reloads: Counter[str] = field(default_factory=Counter)
    bad_reloads: list[str] = field(default_factory=list)
    upgrades: list[str] = field(default_factory=list)
    bad_upgrades: list[str] = field(default_factory=list)

    def add(self, what: str) -> None:
        """Something was done now."""
        self.events.append((stamp(), what))

    def before(self, at: float) -> str:
        """The last thing done before a time, and how long before."""
        earlier = [one for one in self.events if one[0] <= at]
        return f"{(at - earlier[-1][0]) * 1000:.0f} ms after {earlier[-1][1]}" if earlier else "-"


class Storm:
    """One run with a number of workers."""

    listener = upstream = ""
    """Further keys of these in the config."""
    connections, in_flight = str(CONNECTIONS), CONNECTIONS
    """Of the client, and what it asks for at once."""

    def __init__(self, folder: Path, seconds: float, workers: int) -> None:
        self.folder = folder
        self.seconds = seconds
        self.workers = workers
        self.port = free_port()
        self.endpoints = [self.endpoint() for _ in range(3)]
        self.story = Story()
        self.stop = threading.Event()

    def endpoint(self) -> Endpoint:
        """An upstream process."""
        return Endpoint()

    def client(self) -> list[str]:
        """The command of the client, which says of every failure when and what it was."""
        program = str(compiled(CLIENT))
        return [program, str(CONNECTIONS), f"{self.seconds:g}", "127.0.0.1", str(self.port)]

    def config(self, turn: int) -> str:
        """The config; each turn differs from the one before."""
        endpoints = ", ".join(f'"{one.address}"' for one in self.endpoints)
        keys = {"listener": self.listener, "upstream": self.upstream}
        return CONFIG.format(port=self.port, turn=turn, endpoints=endpoints, **keys)

    def more(self, _: dict[str, Any]) -> dict[str, str]:
        """Further rows, of what the client said at its end."""
        return {}

    def run(self) -> int:
        """Runs; the number of violations."""
        arguments = ["--no-watch", "--workers", str(self.workers)]
        try:
            with RunningNode(self.folder, self.config(0), *arguments).until_ready() as node:
                return self._during(node)
        finally:
            for one in self.endpoints:
                one.kill()

    def _during(self, node: RunningNode) -> int:
        with subprocess.Popen(self.client(), stdout=subprocess.PIPE, text=True) as client:
            reloading = threading.Thread(target=self._reload, args=(node,))
            acting = [
                threading.Thread(target=work, args=(node,))
                for work in (self._kill_endpoints, self._kill_control, self._upgrade)
            ]
            for thread in (reloading, *acting):
                thread.start()
            text, _ = client.communicate()
            self.stop.set()
            for thread in (reloading, *acting):
                thread.join()
        restarts = node.metric("headgate_dataplane_restarts_total")
        return report(self, text, restarts)

    def _sleep(self, share: float) -> bool:
        """Sleeps a share of the whole time; whether to go on."""
        return not self.stop.wait(self.seconds * share)

    def _reload(self, node: RunningNode) -> None:
        turn = 0
        while not self.stop.wait(RELOAD_EVERY_S):
            turn += 1
            fresh = node.config.with_suffix(".new")
            fresh.write_text(self.config(turn))
            fresh.replace(node.config)
            try:
                status, body = node.admin("POST", "/reload")
            except calls.NoNodeError:
                self.story.reloads["control process away"] += 1
                continue
            outcome = str(json.loads(body).get("outcome")) if body else str(status)
            self.story.reloads[outcome] += 1
            if outcome not in {"applied", "unchanged"}:
                self.story.bad_reloads.append(f"{status} {body.decode(errors='replace')[:200]}")

    def _kill_endpoints(self, node: RunningNode) -> None:
        for number in range(4):
            if not self._sleep(0.2):
                return
            one = self.endpoints[number % len(self.endpoints)]
            self.story.kills.append(stamp())
            self.story.add(f"endpoint {number % len(self.endpoints)} killed")
            one.kill()
            time.sleep(min(DOWN_S, self.seconds * 0.05))
            one.revive()
            self.story.add("endpoint revived")

    def _kill_control(self, node: RunningNode) -> None:
        if self._sleep(0.33):
            try:
                pid = control_pid(node)
            except calls.NoNodeError:
                self.story.bad_upgrades.append("no control process to kill")
                return
            self.story.add("control process killed")
            os.kill(pid, signal.SIGKILL)

    def _upgrade(self, node: RunningNode) -> None:
        for share in (0.4, 0.2):
            if not self._sleep(share):
                return
            self.story.add("upgrade")
            done = node.command("upgrade")
            said = (done.stdout + done.stderr).strip()
            (self.story.bad_upgrades if done.returncode else self.story.upgrades).append(said)
            self.story.add("upgrade done")


Failure = dict[str, float | str]
TOLD = {
    "status": {502, 503, 504},
    # UNAVAILABLE; a stream that has begun is reset, of which clients make INTERNAL.
    "call": {14},
    "stream": {13, 14},
}
"""Statuses, by the kind of a failure, that say that an endpoint died."""


def is_allowed(failure: Failure, kills: list[float]) -> bool:
    """Whether it was in flight on an endpoint that died, and told the client so."""
    told = failure["kind"] == "short" or failure["status"] in TOLD.get(str(failure["kind"]), ())
    at = float(failure["at"])
    return told and any(kill - 0.05 <= at <= kill + IN_FLIGHT_S for kill in kills)


def report(storm: Storm, text: str, restarts: float) -> int:
    """Prints the result; the number of violations."""
    lines = [json.loads(line) for line in text.splitlines()]
    failures: list[Failure] = [one for one in lines if "kind" in one]
    whole = next(one for one in lines if "answers" in one)
    story = storm.story
    wrong = [one for one in failures if not is_allowed(one, story.kills)]
    unseen = int(whole["failures"]) - len(failures)
    kinds = Counter(f"{one['kind']} {one['status'] or ''}".strip() for one in failures)
    many = max(0, len(failures) - len(wrong) - storm.in_flight * len(story.kills))
    rows = {
        "seconds, client connections": f"{storm.seconds:g}, {storm.connections}",
        "requests answered": f"{whole['answers']:,} ({whole['answers'] / storm.seconds:,.0f}/s)",
        **storm.more(whole),
        "longest wait for an answer": f"{whole['worst_ms']:.0f} ms",
        "connections closed as announced": f"{whole['closes']:,}",
        "reloads": ", ".join(f"{n} {what}" for what, n in story.reloads.items()),
        "endpoints killed and revived": str(len(story.kills)),
        "upgrades": f"{len(story.upgrades)} of {len(story.upgrades) + len(story.bad_upgrades)}",
        "data planes that died by themselves": f"{restarts:g}",
        "failed in flight on a killed endpoint": str(len(failures) - len(wrong)),
        "failed otherwise": str(len(wrong) + unseen),
        "resets": str(kinds["reset"]),
        "failures by kind": ", ".join(f"{n} x {kind}" for kind, n in kinds.items()) or "none",
    }
    out = sys.stdout
    out.write(
        f"\n### {storm.workers} worker{'s' if storm.workers > 1 else ''}\n\n| | |\n|---|---|\n"
    )
    out.writelines(f"| {name} | {value} |\n" for name, value in rows.items())
    began = story.events[0][0] if story.events else 0.0
    for one in wrong[:12]:
        at = float(one["at"])
        out.write(
            f"\n- {one['kind']} {one['status']} at {at - began:+.3f} s, asked "
            f"{(at - float(one['began'])) * 1000:.0f} ms before, {one['reused']} answers on this "
            f"connection, {story.before(at)}: {one['detail']}"
        )
    if len(story.upgrades) < UPGRADES:
        story.bad_upgrades.append(f"{len(story.upgrades)} upgrades, {UPGRADES} were to be made")
    for text_ in story.bad_reloads[:5] + story.bad_upgrades:
        out.write(f"\n- {text_}")
    out.write("\n")
    return (
        len(wrong)
        + unseen
        + many
        + len(story.bad_reloads)
        + len(story.bad_upgrades)
        + int(restarts)
    )


def main(kind: type[Storm] = Storm, text: str | None = __doc__) -> int:
    """Reads the arguments and runs; the exit code."""
    parser = argparse.ArgumentParser(description=text)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--workers", default="1,2", help="numbers, separated by commas")
    given = parser.parse_args()
    violations = 0
    for workers in str(given.workers).split(","):
        with tempfile.TemporaryDirectory(prefix="hg-", ignore_cleanup_errors=True) as folder:
            violations += kind(Path(folder), given.seconds, int(workers)).run()
    sys.stdout.write(f"\n{'FAIL' if violations else 'PASS'}: {violations} violations\n")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
