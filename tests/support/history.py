"""What happened to a fleet during a drill, and a judge of it that needs no eye.

A drill records what it did and saw while it breaks things; `faults` says what must not have
happened. Times are seconds of one monotonic clock. Pure.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal, get_args

from headgate.master.domains.rollouts.state import Phase

Outcome = Literal["acknowledged", "refused", "unknown"]
"""Refused: the API said that nothing was done. Unknown: no answer, or one that promises nothing."""

LOST, CONJURED, TWICE = "write lost", "write conjured", "revision given twice"
BACK, FOREIGN = "revision went back", "revision never published"
REPEATED, STEP_LOST, STEP_UNDUE = "step repeated", "step lost", "step out of turn"
FAILED = "request failed"
SILENT = "nothing was recorded"
AGAIN, UNORDERED, STRAY = "installed again", "installed without an order", "runs another version"


@dataclass(frozen=True, slots=True)
class Write:
    """A write of `value` at `key`; the writes of one key come one after the other."""

    key: str
    value: str
    begun: float
    ended: float
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Seen:
    """A node served, or said that it serves, a revision; observed between two moments."""

    node: str
    revision: int
    begun: float
    ended: float


@dataclass(frozen=True, slots=True)
class Allowed:
    """From `at` on, nodes may go back from revisions above `revision` to it: somebody undid one, or
    a rollout did."""

    revision: int
    at: float


@dataclass(frozen=True, slots=True)
class Step:
    """A line of a rollout's timeline."""

    at: float
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """The timeline of a rollout as somebody read it at `at`."""

    rollout: str
    at: float
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Request:
    """A request of a client to a node; `error` is empty if it was answered as it should be."""

    node: str
    begun: float
    ended: float
    error: str = ""


@dataclass(frozen=True, slots=True)
class Down:
    """An endpoint behind a node could not answer in this time, because the drill broke it."""

    node: str
    endpoint: str
    begun: float
    ended: float


@dataclass(frozen=True, slots=True)
class Ended:
    """What a node ran, and what was installed there, once a rollout of `wanted` had ended, be it
    the version that it brought or, undone, the one before. `asked`: what its upgrade command was
    called for during the rollout; `ordered`: the versions that the rollout can have asked it for,
    one after the other."""

    node: str
    wanted: str
    runs: str
    installed: str
    asked: tuple[str, ...]
    ordered: tuple[str, ...]


@dataclass
class History:
    """Everything that a drill recorded. `endpoints`: those behind each node."""

    writes: list[Write] = field(default_factory=list)
    found: dict[str, str] = field(default_factory=dict)
    """What the store had after everything was mended, by key."""
    seen: list[Seen] = field(default_factory=list)
    allowed: list[Allowed] = field(default_factory=list)
    timelines: list[Timeline] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    down: list[Down] = field(default_factory=list)
    endpoints: dict[str, tuple[str, ...]] = field(default_factory=dict)
    upgrades: list[Ended] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that must not have happened."""

    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


REVISION = "revision/"
"""The keys of published revisions begin with this; the number follows."""


def faults(history: History) -> list[Fault]:
    """Returns everything that is wrong with a history; the caller fails if there is anything."""
    return [
        *_silences(history),
        *_writes(history),
        *_revisions(history),
        *_rollouts(history.timelines),
        *_requests(history),
        *_upgrades(history.upgrades),
    ]


def _silences(history: History) -> Iterator[Fault]:
    """A drill that recorded nothing has shown nothing."""
    for name in ("writes", "seen", "timelines", "requests"):
        if not getattr(history, name):
            yield Fault(SILENT, name)
    for node in history.endpoints:
        if not any(one.node == node for one in history.requests):
            yield Fault(SILENT, f"requests to {node}")


def _writes(history: History) -> Iterator[Fault]:
    by_key: dict[str, list[Write]] = defaultdict(list)
    for one in history.writes:
        by_key[one.key].append(one)
    for key, writes in sorted(by_key.items()):
        writes.sort(key=lambda one: one.begun)
        given = [one for one in writes if one.outcome == "acknowledged"]
        if key.startswith(REVISION) and len({one.value for one in given}) > 1:
            yield Fault(TWICE, f"{key} is {' and '.join(one.value for one in given)}")
            continue
        found = history.found.get(key)
        since = given[-1].begun if given else float("-inf")
        possible = {one.value for one in writes if one.outcome == "unknown" and one.begun > since}
        if given:
            possible.add(given[-1].value)
            if found not in possible:
                yield Fault(LOST, f"{key} was acknowledged as {given[-1].value}, found: {found}")
        elif found is not None and found not in possible:
            yield Fault(CONJURED, f"{key} is {found}, and no write of that can have been made")


def _revisions(history: History) -> Iterator[Fault]:
    published = {
        int(one.key.removeprefix(REVISION))
        for one in history.writes
        if one.key.startswith(REVISION) and one.outcome != "refused"
    } | {int(key.removeprefix(REVISION)) for key in history.found if key.startswith(REVISION)}
    by_node: dict[str, list[Seen]] = defaultdict(list)
    for one in history.seen:
        by_node[one.node].append(one)
        if one.revision not in published:
            yield Fault(FOREIGN, f"{one.node} served revision {one.revision}")
    for node, sights in sorted(by_node.items()):
        yield from _monotonic(node, sights, history.allowed)


def _monotonic(node: str, sights: list[Seen], allowed: Sequence[Allowed]) -> Iterator[Fault]:
    """What was seen completely after a newer revision is older only if that was allowed between."""
    sights.sort(key=lambda one: one.ended)
    newest: Seen | None = None
    for one in sights:
        if newest is None or one.revision >= newest.revision:
            newest = one
            continue
        if one.begun <= newest.ended:
            continue  # both at once: which came first is not known
        if not any(way.revision == one.revision and way.at <= one.ended for way in allowed):
            text = f"{node} served {newest.revision}, then {one.revision} at {one.begun:.2f}"
            yield Fault(BACK, text)
        newest = one


_WAVE = re.compile(r"wave (\d+) \([^)]*\) (begins|serves and soaks|passed)")
_EMPTY = "passed: no connected agent is left for it"
_ORDER = {"begins": 0, "serves and soaks": 1, "passed": 2}
_ONCE = frozenset(get_args(Phase))
"""A phase is entered once; an undo ends a rollout that had succeeded in another phase."""


def _rollouts(timelines: Iterable[Timeline]) -> Iterator[Fault]:
    by_rollout: dict[str, list[Timeline]] = defaultdict(list)
    for one in timelines:
        by_rollout[one.rollout].append(one)
    for rollout, read in sorted(by_rollout.items()):
        read.sort(key=lambda one: one.at)
        for before, after in pairwise(read):
            if after.steps[: len(before.steps)] != before.steps:
                gone = [one.text for one in before.steps if one not in after.steps]
                yield Fault(STEP_LOST, f"rollout {rollout}: {gone or 'the order'}")
        yield from _steps(rollout, read[-1].steps)


def _steps(rollout: str, steps: Sequence[Step]) -> Iterator[Fault]:
    kinds = Counter(one.kind for one in steps if one.kind in _ONCE)
    for kind, count in kinds.items():
        if count > 1:
            yield Fault(REPEATED, f"rollout {rollout}: {kind} {count} times")
    reached = (0, 2)
    for step in steps:
        found = _WAVE.match(step.text)
        if found is None:
            continue
        now = (int(found[1]), _ORDER[found[2]])
        if now <= reached:
            yield Fault(REPEATED, f"rollout {rollout}: {step.text}")
            continue
        is_same = now[0] == reached[0]
        is_next = now[0] == reached[0] + 1 and reached[1] == _ORDER["passed"]
        if not is_same and not (is_next and (now[1] == 0 or _EMPTY in step.text)):
            yield Fault(STEP_UNDUE, f"rollout {rollout}: {step.text}")
        reached = now


def _requests(history: History) -> Iterator[Fault]:
    broken: dict[tuple[str, str], list[Down]] = defaultdict(list)
    for down in history.down:
        broken[down.node, down.endpoint].append(down)
    for one in history.requests:
        if not one.error:
            continue
        healthy = [
            endpoint
            for endpoint in history.endpoints.get(one.node, ())
            if not any(
                down.begun <= one.ended and one.begun <= down.ended
                for down in broken[one.node, endpoint]
            )
        ]
        if healthy:
            yield Fault(
                FAILED,
                f"{one.node} at {one.begun:.2f}: {one.error}; {', '.join(healthy)} was healthy",
            )


def _upgrades(upgrades: Iterable[Ended]) -> Iterator[Fault]:
    for one in upgrades:
        if {one.runs, one.installed} != {one.wanted}:
            text = f"{one.node} runs {one.runs}, installed is {one.installed}, not {one.wanted}"
            yield Fault(STRAY, text)
        for program, count in Counter(one.asked).items():
            if program not in one.ordered:
                yield Fault(UNORDERED, f"{one.node}: {program}")
            elif count > one.ordered.count(program):
                yield Fault(AGAIN, f"{one.node}: {program} {count} times")
