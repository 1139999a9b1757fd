"""Carries out what the machine wants, on a real nginx. Blocks; one apply at a time per folder.

`Applier` has the applies, this module one run of the machine.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from headgate.engines.nginx.apply import preflight
from headgate.engines.nginx.apply import steps as do
from headgate.engines.nginx.apply.causes import Finding
from headgate.engines.nginx.apply.checks import Checks
from headgate.engines.nginx.apply.errorlog import LogMark
from headgate.engines.nginx.apply.evidence import Expectation, Probe
from headgate.engines.nginx.apply.journal import Journal, JournalError, Record, Step
from headgate.engines.nginx.apply.looking import Looker
from headgate.engines.nginx.apply.machine import Machine
from headgate.engines.nginx.apply.replay import BEFORE_SWAP
from headgate.engines.nginx.apply.results import PhaseChanged, Result
from headgate.engines.nginx.common.types import Generation, Instance, Rendered, RightMissingError
from headgate.engines.nginx.instance import NotStartedError, SeveralMastersError
from headgate.engines.nginx.releases.disk import NoSpaceError
from headgate.engines.nginx.releases.names import ReleaseName
from headgate.engines.nginx.releases.objects import DamagedObjectError
from headgate.engines.nginx.releases.store import (
    Release,
    Store,
    UnknownReleaseError,
    UnsafePathError,
)

OnStep = Callable[[str], None]
"""Told `<step>:recorded` once a step is journaled and `<step>:done` after its action."""

_LET_GO_S: Final = 8.0
_LOOK_S: Final = 0.05


class _StillServedError(Exception):
    """nginx was told to let go of a release, and did not."""


_TROUBLES: Final[tuple[tuple[type[Exception], str, bool], ...]] = (
    (NoSpaceError, "no_space", True),
    (DamagedObjectError, "store", False),
    (UnknownReleaseError, "store", False),
    (UnsafePathError, "unsafe_path", False),
    (RightMissingError, "right_missing", False),
    (ProcessLookupError, "gone", True),
    (OSError, "system", True),
    (SeveralMastersError, "system", True),
    (_StillServedError, "still_served", True),
)
"""The exceptions that an action may raise: the finding's code, and whether a retry may help."""


@dataclass(frozen=True, slots=True)
class World:
    """The objects that an apply works with.

    `has_entry`: the main file is not ours, so that a release can be tested only once it is
    `current`. `cpus`: how many workers `auto` is.
    """

    store: Store
    journal: Journal
    instance: Instance
    checks: Checks
    looker: Looker
    report: Callable[[PhaseChanged], None]
    on_step: OnStep
    cpus: int
    has_entry: bool = False
    proxied: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Job:
    """An apply to run: of a plan to render for a generation, or of an existing release."""

    generation: int
    fallbacks: tuple[ReleaseName, ...]
    source: Callable[[Generation], Rendered] | ReleaseName
    plan_digest: str = ""
    probes: tuple[Probe, ...] = ()
    applied: Callable[[], object] = lambda: None
    """Called once nginx was told to serve it, before that is proven."""


class Run:
    """Runs one machine to its end."""

    def __init__(
        self, world: World, job: Job, machine: Machine, mark: LogMark | None = None
    ) -> None:
        """`mark`: where the log was at SIGNAL, of an apply that a crash interrupted."""
        self._world = world
        self._job = job
        self._machine = machine
        self._mark = mark
        self._rendered: Rendered | None = None
        self._expected: Expectation | None = None
        self._step: Step = "fetch"
        self._has_started = False

    def to_end(self, actions: list[do.Action]) -> Result:
        """Carries out actions and what follows from them, until the machine has finished."""
        try:
            while True:
                event: do.Event | None = None
                for action in actions:
                    if isinstance(action, do.Finish):
                        return action.result
                    event = self._carry_out(action)
                    if isinstance(event, do.Trouble):
                        break
                if event is None:
                    raise ValueError("the machine asked for nothing that answers")
                actions = self._machine.handle(event, time.monotonic())
        finally:
            self._world.looker.close()

    def _carry_out(self, action: do.Action) -> do.Event | None:
        if isinstance(action, do.Announce):
            return self._announce(action)
        if isinstance(action, do.Pause):
            time.sleep(action.seconds)
            return do.Woken()
        try:
            event = self._act(action)
        except NotStartedError as error:
            return self._not_started(str(error))
        except tuple(kind for kind, _, _ in _TROUBLES) as error:
            code, transient = next((c, t) for k, c, t in _TROUBLES if isinstance(error, k))
            return do.Trouble(Finding(code, str(error), is_transient=transient))
        except Exception as error:  # for any error: an unproven release must not stay
            if self._step in BEFORE_SWAP:
                raise
            return do.Trouble(Finding("internal", f"{type(error).__name__}: {error}"))
        if not isinstance(action, do.Look):
            self._world.on_step(f"{self._step}:done")
        return event

    def _act(self, action: do.Action) -> do.Event:
        match action:
            case do.Fetch():
                return self._fetch()
            case do.Stage():
                return do.Staged(self._stage())
            case do.Check():
                return self._check(action)
            case do.Signal():
                return self._signal(action)
            case do.Look() if self._expected is not None:
                return do.Seen(self._world.looker.look(self._expected, deep=action.deep))
        self._change(action)
        return do.Done()

    def _change(self, action: do.Action) -> None:
        store = self._world.store
        if isinstance(action, do.Link):
            store.link("current", action.release)
        elif isinstance(action, do.Restore):
            store.restore(action.release)
        elif isinstance(action, do.Commit):
            self._commit(action)
        elif isinstance(action, do.Stop):
            self._stop()

    def _stop(self) -> None:
        """Has nginx let go of the release of this apply, which is `current` no more."""
        world, number = self._world, self._job.generation
        if self._has_started:
            world.instance.signal("TERM")
            return
        if world.instance.master() is None:
            return
        world.instance.signal("HUP")
        deadline = time.monotonic() + _LET_GO_S
        while number in world.looker.generations():
            if time.monotonic() > deadline:
                raise _StillServedError(f"nginx goes on serving generation {number}")
            time.sleep(_LOOK_S)

    def _announce(self, action: do.Announce) -> do.Event | None:
        self._step = action.step
        world = self._world
        mark = ""
        if action.step in {"signal", "rollback_signal"}:
            mark = world.looker.mark().text()
        record = Record(
            apply=self._job.generation,
            step=action.step,
            release=self._machine.release,
            fallbacks=self._job.fallbacks,
            target=action.target,
            at=time.time(),
            detail=mark,
        )
        try:
            world.journal.append(record)
        except JournalError as error:
            if action.must:
                return do.Trouble(Finding("journal", str(error), is_transient=True))
        world.report(PhaseChanged(record.apply, action.step, record.at, action.target))
        world.on_step(f"{action.step}:recorded")
        if action.step == "verify":
            self._job.applied()
        return None

    def _fetch(self) -> do.Event:
        if isinstance(self._job.source, ReleaseName):
            return do.Fetched()
        self._rendered = self._job.source(Generation(self._job.generation))
        return do.Fetched()

    def _stage(self) -> ReleaseName:
        source, store = self._job.source, self._world.store
        if isinstance(source, ReleaseName):
            store.restore(source)
            return store.release(source).name
        if self._rendered is None:
            raise ValueError("STAGE without FETCH")
        generation = Generation(self._job.generation)
        return store.stage(self._rendered, generation, self._job.plan_digest).name

    def _check(self, action: do.Check) -> do.Event:
        world = self._world
        release = world.store.release(action.release)
        began = time.monotonic()
        if action.step == "test":
            findings = () if world.has_entry else world.checks.test(release)
            return do.Checked(findings, time.monotonic() - began)
        running = self._current()
        check = world.checks.lint if action.step == "lint" else world.checks.preflight
        return do.Checked(check(release, running))

    def _current(self) -> Release | None:
        """Returns what was current before; None without it, or when its manifest is gone."""
        if not self._job.fallbacks:
            return None
        try:
            return self._world.store.release(self._job.fallbacks[0])
        except UnknownReleaseError:
            return None

    def _signal(self, action: do.Signal) -> do.Event:
        world = self._world
        target = world.store.release(action.target)
        is_back = action.target != self._machine.release
        if action.how == "resume":
            world.looker.mark(self._mark, all_are_new=True)
        is_start = action.how == "reload" and world.instance.master() is None
        self._expected = self._expect(target, is_back, is_start)
        if action.how == "look":
            self._expected = replace(self._expected, needs_new_workers=False)
        elif action.how == "reload":
            errors = self._refused(target) if not is_back else ()
            if errors:
                return do.Trouble(errors[0])
            self._has_started = self._has_started or is_start
            world.instance.start() if is_start else world.instance.signal("HUP")
        return do.Signalled(self._expected)

    def _refused(self, target: Release) -> tuple[Finding, ...]:
        """Returns what speaks against a signal just before it."""
        world = self._world
        if world.checks.is_upgrading():
            return (preflight.upgrading(),)
        if not world.has_entry:
            return ()
        return tuple(one for one in world.checks.test(target) if one.is_error)

    def _expect(self, target: Release, is_back: bool, is_start: bool) -> Expectation:
        """Returns what proves a release: all of what differs from what ran before it.

        All of it where that is unknown: of a release that is put back on itself files were edited.
        """
        other = self._current()
        if other is not None and other.name == target.name:
            other = None
        if is_back and self._machine.release is not None:
            other = self._world.store.release(self._machine.release)
        about, known = target.manifest, None if other is None or is_start else other.manifest
        known_listeners = set(known.listeners) if known is not None and not is_back else set()
        known_names = set(known.served_names) if known is not None else set()
        listeners = [one for one in about.listeners if one not in known_listeners]
        names = [one for one in about.served_names if one not in known_names]
        return Expectation(
            generation=target.name.generation,
            workers=self._world.checks.conf(target).workers() or self._world.cpus,
            listeners=tuple(listeners),
            names=tuple(names),
            probes=() if is_back else self._job.probes,
            proxied=self._world.proxied,
        )

    def _commit(self, action: do.Commit) -> None:
        self._world.store.link_previous(action.previous, action.release)
        self._world.store.link("known_good", action.release)

    def _not_started(self, words: str) -> do.Event:
        """Returns the trouble when nginx refused to start: its own lines are the cause."""
        release = self._machine.release
        lines = tuple(line for line in words.splitlines() if "[emerg]" in line) or (words,)
        if release is None:
            return do.Trouble(Finding("nginx", words))
        return do.Trouble(self._world.checks.explain(lines, self._world.store.release(release))[0])
