"""The stage of the drills of a fleet: a master, nodes under load and somebody who watches, in
network namespaces of their own."""

import argparse
import contextlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from fleet_lab import Master, Node, Person, W, Watcher, config_of, endpoints_of
from history import History, faults
from postgres import Postgres
from star import Star
from waiting import until

_BEGUN: Final = time.monotonic()
_GATES: Final = {"min_requests": 0, "traffic_of_control": 0.0, "latency_over_control_ms": 60_000}
"""Each node has clients of its own. Their pace on a busy machine says nothing about a rollout."""
_STEP_S: Final = 300.0
"""Below the limits of the tests that run the drills: one that is stuck says where."""
_NAMES: Final = ("east", "west", "north", "south", "middle")


@dataclass
class Stage:
    """Everything that can be broken, and what is known of it."""

    options: argparse.Namespace
    history: History
    star: Star
    master: Master
    nodes: list[Node]
    person: Person
    watcher: Watcher
    postgres: Postgres | None
    chance: random.Random
    breaks: list[str] = field(default_factory=list)
    serving: int = 1
    """The revision that the whole fleet served last."""

    def texts(self, rollout: str) -> list[str]:
        """The lines of a rollout's timeline."""
        return self.watcher.texts(rollout)

    def wait(self, holds: Callable[[], bool], what: str, rollout: str = "") -> None:
        """Waits; says where the rollout stands if that takes too long."""
        try:
            until(holds, what, deadline_s=_STEP_S)
        except AssertionError as error:
            shown = self.watcher.latest.get(rollout, {})
            stands = json.dumps(shown.get("agents"), indent=1)
            lines = "\n".join(self.texts(rollout))
            raise AssertionError(f"{error}; rollout: {lines}\n{stands}") from error

    def begin(self, number: int) -> str:
        """Publishes the next revision and begins its rollout, whose id it returns."""
        self.person.publish(number, is_served=False)
        wanted = {"fleet": "edge", "revision": number, "waves": ["1", "rest"]}
        wanted |= {"soak_s": self.options.soak, "settle_s": 5, "apply_s": 120}
        wanted |= {"gates": _GATES}
        return str(self.person.ask(f"{W}/rollouts", wanted)["id"])

    def upgrade(self, program: str) -> str:
        """Begins a rollout that upgrades the agents, whose id it returns."""
        wanted: dict[str, Any] = {"fleet": "edge", "program": program, "waves": ["1", "rest"]}
        wanted |= {"soak_s": self.options.soak, "settle_s": 5, "apply_s": 300}
        wanted |= {"gates": _GATES}
        return str(self.person.ask(f"{W}/rollouts", wanted)["id"])

    def until_ended(self, rollout: str, status: str, serving: int) -> None:
        """Waits until a rollout ended that way, and every agent proved to serve that revision."""

        self.until_status(rollout, status)
        self.until_all_serve(serving)
        self.serving = serving

    def until_status(self, rollout: str, status: str) -> None:
        """Waits until a rollout has this status."""

        def has_it() -> bool:
            return bool(self.watcher.latest.get(rollout, {}).get("status") == status)

        self.wait(has_it, status, rollout)

    def until_all_serve(self, number: int) -> None:
        """Waits until every agent proved to serve a revision, as the master knows it."""

        def do() -> bool:
            with contextlib.suppress(OSError):
                agents = self.person.all("agents")
                return all(one["revisions"]["serving"] == number for one in agents)
            return False

        self.wait(do, f"revision {number} serves everywhere")

    def judge(self) -> int:
        """Collects what was recorded, and says what is wrong with it; how many faults that is."""
        history = self.history
        asked = sum(node.end_asking(history) for node in self.nodes)
        self.watcher.end()
        self.person.read_back()
        if self.options.history:
            Path(self.options.history).write_text(json.dumps(asdict(history)))
        found = faults(history)
        given = sum(one.outcome == "acknowledged" for one in history.writes)
        failed = sum(bool(one.error) for one in history.requests)
        say(
            f"{len(self.breaks)} breaks; {asked} requests, {failed} failed; {given} of"
            f" {len(history.writes)} writes acknowledged; {len(history.seen)} sights of revisions;"
            f" {len(found)} faults"
        )
        for one in found:
            say(str(one))
        return len(found)


@contextlib.contextmanager
def staged(
    folder: Path, star: Star, options: argparse.Namespace, kind: type[Node] = Node
) -> Iterator[Stage]:
    """The fleet of nodes of that kind, serving revision 1 under load."""
    history = History(endpoints=endpoints_of(star.names))
    with contextlib.ExitStack() as ends:
        postgres = None
        if options.database == "postgresql":
            postgres = Postgres(is_durable=True)
            ends.callback(postgres.close)
        master = Master(folder, postgres.database() if postgres else None).start()
        ends.callback(master.kill)
        person = Person(history, master.set_up_token())
        person.ask(f"{W}/fleets", {"name": "edge"})
        config_of(person)
        person.publish(1, is_served=True)
        engines = dict(zip(star.names, options.engines.split(","), strict=True))
        nodes = []
        for name, engine in engines.items():
            token = str(person.ask(f"{W}/join-tokens", {"fleet": "edge"})["token"])
            nodes.append(ends.enter_context(kind(folder / name, star, name, engine, token)))
        watcher = Watcher(history)
        ends.callback(watcher.end)
        chance = random.Random(options.seed)  # noqa: S311
        stage = Stage(options, history, star, master, nodes, person, watcher, postgres, chance)
        stage.wait(lambda: len(person.all("agents")) == len(nodes), "every node has enrolled")
        stage.until_all_serve(1)
        say(f"{len(nodes)} nodes serve revision 1")
        for node in nodes:
            node.ask_all_the_time()
            ends.callback(node.end_asking, History())
        yield stage


def say(text: str) -> None:
    """One line at once, as a drill takes minutes."""
    sys.stdout.write(f"{time.monotonic() - _BEGUN:7.1f} s  {text}\n")
    sys.stdout.flush()


def parser() -> argparse.ArgumentParser:
    """What every drill of a fleet can be told."""
    made = argparse.ArgumentParser()
    made.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    made.add_argument("--engines", default="native,nginx,native")
    made.add_argument("--seed", type=int, default=1)
    made.add_argument("--soak", type=int, default=3, help="of each wave, in seconds")
    made.add_argument("--history", default="", help="where to write what was recorded")
    made.add_argument("--middle", default="", help=argparse.SUPPRESS)
    return made


def run(options: argparse.Namespace, play: Callable[[Stage], int], kind: type[Node] = Node) -> int:
    """Builds the star and plays in its middle, in a process of its own; the exit code."""
    names = _NAMES[: len(options.engines.split(","))]
    if options.middle:
        star = Star(names)
        star.middle = options.middle
        with (
            tempfile.TemporaryDirectory(prefix="hg-") as name,
            staged(Path(name), star, options, kind) as stage,
        ):
            return 1 if play(stage) else 0
    with Star(names) as star:
        own = ["--middle", star.middle]
        command: list[Any] = [*star.before(None), sys.executable, *sys.argv, *own]
        return subprocess.run(command, check=False).returncode
