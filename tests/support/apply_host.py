"""A pretended nginx, its clock and its checks for applies on a real store, journal and lock."""

import time as real_time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from headgate.engines.nginx.apply.applier import Applier, Settings
from headgate.engines.nginx.apply.causes import Finding
from headgate.engines.nginx.apply.checks import Checks
from headgate.engines.nginx.apply.evidence import Expectation, LogLine, LogSeen, Observation
from headgate.engines.nginx.apply.journal import JOURNAL, Journal, Record, Step
from headgate.engines.nginx.apply.results import Applied, Result
from headgate.engines.nginx.common.types import (
    Generation,
    Instance,
    Process,
    Rendered,
    RenderedFile,
)
from headgate.engines.nginx.instance import NotStartedError
from headgate.engines.nginx.releases.names import ReleaseName
from headgate.engines.nginx.releases.store import Release, Store


class Host:
    """The clock, the nginx, its looker and the checks of one apply after another."""

    def __init__(self, root: Path) -> None:
        self.store = Store(root)
        self.now = 1_000.0
        self.births = 1
        self.running: ReleaseName | None = None
        self.is_up = True
        self.before = 0
        self.refusal: tuple[str, ...] = ()
        self.log: tuple[LogLine, ...] = ()
        self.signals: list[str] = []
        self.marks: list[object] = []
        self.looked: list[Expectation] = []
        self.closed = 0
        self.findings: dict[str, tuple[Finding, ...]] = {}
        self.checked: list[tuple[str, ReleaseName, ReleaseName | None]] = []
        self.phases: list[str] = []
        self.steps: list[str] = []
        self.fault: Exception | None = None
        self.breaks: set[int] = set()
        self.faults: tuple[str, ...] = ()
        self.keeps = False

    def monotonic(self) -> float:
        self.now += 0.001
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def time(self) -> float:
        return real_time.time()

    def master(self) -> Process | None:
        return Process(1, 1) if self.is_up else None

    def signal(self, name: str) -> None:
        self.signals.append(name)
        if self.fault is not None:
            raise self.fault
        if name == "TERM":
            self.is_up, self.running = False, None
            return
        if self.refusal:
            self.log = tuple(LogLine("emerg", line) for line in self.refusal)
            return
        current = self.store.linked("current")
        if current is None and self.keeps:
            return
        is_broken = current is not None and current.generation in self.breaks
        self.running = None if is_broken else current
        self.births += 1

    def start(self) -> None:
        if self.refusal:
            raise NotStartedError("\n".join(self.refusal))
        self.is_up = True
        self.signal("start")

    def mark(self, log: object = None, *, all_are_new: bool = False) -> SimpleNamespace:
        self.marks.append((log, all_are_new))
        self.log = ()
        self.before = 0 if all_are_new else self.births
        return SimpleNamespace(text=lambda: "1:2")

    def close(self) -> None:
        self.closed += 1

    def generations(self) -> tuple[int | None, ...]:
        return (self.running.generation if self.running else None,)

    def look(self, expected: Expectation, *, deep: bool) -> Observation:
        self.looked.append(expected)
        workers = frozenset(Process(10 * self.births + at, self.births) for at in range(2))
        if self.running is None:
            workers = frozenset()
        is_new = self.births != self.before
        return Observation(
            has_master=self.is_up,
            new=workers if is_new else frozenset(),
            old=frozenset() if is_new else workers,
            answers=self.generations() * 4,
            log=LogSeen(self.log),
            faults=self.faults if deep else None,
        )

    def conf(self, _: Release) -> SimpleNamespace:
        return SimpleNamespace(workers=lambda: 2)

    def is_upgrading(self) -> bool:
        return False

    def lint(self, release: Release, running: Release | None) -> tuple[Finding, ...]:
        return self.check("lint", release, running)

    def test(self, release: Release) -> tuple[Finding, ...]:
        return self.check("test", release, None)

    def preflight(self, release: Release, running: Release | None) -> tuple[Finding, ...]:
        return self.check("preflight", release, running)

    def check(self, what: str, release: Release, other: Release | None) -> tuple[Finding, ...]:
        self.now += 0.5
        self.checked.append((what, release.name, other.name if other else None))
        return self.findings.get(what, ())

    def explain(self, lines: tuple[LogLine | str, ...], release: Release) -> tuple[Finding, ...]:
        texts = [one.text if isinstance(one, LogLine) else one for one in lines]
        return tuple(Finding("said", f"{release.name.generation}: {text}") for text in texts)

    def applier(self, **settings: object) -> Applier:
        made = Applier(
            self.store,
            cast(Instance, self),
            Settings("/error.log", "/status.sock", **settings),  # type: ignore[arg-type]
            report=lambda one: self.phases.append(one.step),
            checks=cast(Checks, self),
            on_step=self.steps.append,
        )
        made._looker = self  # type: ignore[assignment]
        return made

    def apply(self, text: str = "a", **more: object) -> Result:
        return self.applier().apply(rendered(text), **more)  # type: ignore[arg-type]

    def applied(self, text: str) -> ReleaseName:
        result = self.apply(text)
        assert isinstance(result, Applied), result
        return result.release

    def links(self) -> list[ReleaseName | None]:
        return [self.store.linked(link) for link in ("current", "previous", "known_good")]

    def crash(
        self, step: Step, release: ReleaseName | None, *back: ReleaseName, **more: str
    ) -> None:
        """Leaves a journal as of a crash in a step of generation 9."""
        detail = more.get("mark", "")
        target = back[0] if back and step.startswith("rollback") else None
        record = Record(9, step, release, back, target, 1.0, detail)
        Journal(self.store.root / JOURNAL).append(record)

    def last(self) -> Record:
        return Journal(self.store.root / JOURNAL).records()[-1]


def rendered(text: str) -> Callable[[Generation], Rendered]:
    def render(generation: Generation) -> Rendered:
        content = f"# {text} {generation}\n".encode()
        return Rendered(files=(RenderedFile("nginx.conf", content),), listeners=())

    return render
