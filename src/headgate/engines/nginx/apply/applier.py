"""Applies to one nginx: new plans, releases that exist, and what a crash interrupted.

Blocking; `headgate.engines.nginx.apply.front` is its face in an event loop.
"""

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from headgate.engines.nginx.apply.causes import Finding
from headgate.engines.nginx.apply.checks import Checks, Limits
from headgate.engines.nginx.apply.driver import Job, OnStep, Run, World
from headgate.engines.nginx.apply.errorlog import LogMark
from headgate.engines.nginx.apply.evidence import Probe
from headgate.engines.nginx.apply.hold import BadHoldError, read_hold
from headgate.engines.nginx.apply.journal import JOURNAL, Journal, JournalError, Record
from headgate.engines.nginx.apply.looking import Looker
from headgate.engines.nginx.apply.machine import Machine, Request
from headgate.engines.nginx.apply.replay import (
    Abandoned,
    Committing,
    Settled,
    Undoing,
    Unproven,
    replay,
)
from headgate.engines.nginx.apply.results import Applied, PhaseChanged, Rejected, Result
from headgate.engines.nginx.apply.undo import How
from headgate.engines.nginx.apply.verdict import Failed
from headgate.engines.nginx.common.types import Generation, Instance, Rendered, RightMissingError
from headgate.engines.nginx.instance import SeveralMastersError
from headgate.engines.nginx.releases.links import is_whole
from headgate.engines.nginx.releases.lock import BusyError, locked
from headgate.engines.nginx.releases.names import ReleaseName
from headgate.engines.nginx.releases.store import Store, UnknownReleaseError

SOAK_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings for applying to one instance.

    `error_log` and `status_socket` are absolute, as we see them. `entry` is the main file where
    nginx.conf is not ours (guest mode), None = the release's own. `proxied` are listeners that
    expect a PROXY header. A verified release becomes `known_good` after `soak_s`.
    """

    error_log: str
    status_socket: str
    entry: str | None = None
    limits: Limits = field(default_factory=Limits)
    proxied: frozenset[str] = frozenset()
    soak_s: float = SOAK_S


class Applier:
    """Everything that changes which release an nginx serves goes through here."""

    def __init__(
        self,
        store: Store,
        instance: Instance,
        settings: Settings,
        *,
        report: Callable[[PhaseChanged], None] = lambda _: None,
        checks: Checks | None = None,
        on_step: OnStep = lambda _: None,
    ) -> None:
        """`report` receives each step as it begins, `on_step` each as it is written and done.

        `checks` None = all of them, with the system's resolver.
        """
        self._settings = settings
        self._looker = Looker(instance, settings.error_log, settings.status_socket)
        self._journal = Journal(store.root / JOURNAL)
        self._world = World(
            store=store,
            journal=self._journal,
            instance=instance,
            checks=checks or Checks(instance, settings.limits, entry=settings.entry),
            looker=self._looker,
            report=report,
            on_step=on_step,
            cpus=os.cpu_count() or 1,
            has_entry=settings.entry is not None,
            proxied=settings.proxied,
        )
        self._last_reload_s = 0.0
        self._store = store
        self._instance = instance

    def apply(
        self,
        render: Callable[[Generation], Rendered],
        *,
        plan_digest: str = "",
        probes: tuple[Probe, ...] = (),
        despite_hold: bool = False,
        applied: Callable[[], object] = lambda: None,
    ) -> Result:
        """Renders a plan for the next generation and makes nginx serve it,
        or restores everything. Calls `applied` once nginx was told, before anything is proven.

        Raises what `render` raises, before it changes anything.
        """

        def job() -> Job:
            number, back = self._next_generation(), self._fallbacks()
            return Job(number, back, render, plan_digest, probes, applied)

        return self._exclusively(job, despite_hold=despite_hold)

    def switch(self, name: ReleaseName, *, probes: tuple[Probe, ...] = ()) -> Result:
        """Switches to an existing release and verifies it like any other, also during a hold."""
        return self._exclusively(
            lambda: Job(name.generation, self._fallbacks(name), name, "", probes), despite_hold=True
        )

    def heal(self, name: ReleaseName) -> Result:
        """Switches to the release that was proven last; does nothing if that is another by now."""

        def job() -> Job:
            if self._store.linked("known_good") != name:
                raise BusyError("another release was applied meanwhile")
            return Job(name.generation, self._fallbacks(name), name)

        return self._exclusively(job, despite_hold=True)

    def recover(self) -> Result | None:
        """Finishes or undoes what a crash interrupted; None when there is nothing to verify.

        Raises BusyError while another process applies; RightMissingError, SeveralMastersError,
        JournalError or OSError when it fails: the journal then still has it.
        """
        with locked(self._store.root):
            return self._recover()

    def held(self) -> Finding | None:
        """Returns the hold that stops applies now, as a finding."""
        try:
            hold = read_hold(self._store.root)
        except BadHoldError as error:
            return Finding("held", str(error))
        return None if hold is None else Finding("held", hold.text(time.time()), is_transient=True)

    def _exclusively(self, make: Callable[[], Job], *, despite_hold: bool) -> Result:
        held = None if despite_hold else self.held()
        if held is not None:
            return Rejected(0, "fetch", held, (held,))
        try:
            with locked(self._store.root):
                self._recover()
                job = make()
                return self._run(job)
        except BusyError as error:
            finding = Finding("busy", str(error), is_transient=True)
        except RightMissingError as error:
            finding = Finding("right_missing", str(error))
        except (JournalError, OSError, SeveralMastersError) as error:
            finding = Finding("system", str(error), is_transient=True)
        return Rejected(0, "fetch", finding, (finding,))

    def _run(self, job: Job) -> Result:
        machine = self._machine(job)
        result = Run(self._world, job, machine).to_end(machine.begin())
        self._tidy(result)
        return result

    def _recover(self) -> Result | None:
        decision = replay(self._journal.records())
        if isinstance(decision, Settled):
            return None
        self._store.clean()
        if isinstance(decision, Abandoned):
            self._close(decision.apply, None)
            return None
        if isinstance(decision, Committing):
            self._finish_commit(decision)
            return None
        job = Job(decision.apply, decision.fallbacks, decision.release)
        machine = self._machine(job)
        mark = LogMark.parse(decision.mark) if isinstance(decision, Unproven) else None
        run = Run(self._world, job, machine, mark)
        if self._is_running(decision):
            actions = machine.resume(decision.release)
        else:
            how = self._how_to_undo(decision)
            actions = machine.undo(decision.release, how, time.monotonic())
        result = run.to_end(actions)
        self._tidy(result)
        return result

    def _is_running(self, decision: Unproven | Undoing) -> bool:
        """Reports whether the unproven release answers: then it is worth proving."""
        return (
            isinstance(decision, Unproven)
            and self._instance.master() is not None
            and self._store.linked("current") == decision.release
            and is_whole(self._store.root, decision.release)
            and set(self._looker.generations()) == {decision.release.generation}
        )

    def _how_to_undo(self, decision: Unproven | Undoing) -> How:
        """Returns how to undo: after a possible signal,
        only another one settles what nginx serves.
        """
        if self._instance.master() is None:
            return "leave"
        is_signalled = isinstance(decision, Undoing) or bool(decision.mark)
        return "reload" if is_signalled else "look"

    def _finish_commit(self, decision: Committing) -> None:
        self._store.link("current", decision.release)
        before = decision.fallbacks[0] if decision.fallbacks else None
        self._store.link_previous(before, decision.release)
        self._store.link("known_good", decision.release)
        self._close(decision.apply, decision.release)

    def _close(self, apply: int, target: ReleaseName | None) -> None:
        self._journal.append(Record(apply, "done", target=target, at=time.time()))

    def _machine(self, job: Job) -> Machine:
        def explain(failed: Failed) -> tuple[Finding, ...]:
            return self._explain(failed, machine.release)

        machine = Machine(
            Request(
                generation=job.generation,
                fallbacks=job.fallbacks,
                explain=explain,
                last_reload_s=self._last_reload_s,
                soak_s=self._settings.soak_s,
            )
        )
        return machine

    def _explain(self, failed: Failed, name: ReleaseName | None) -> tuple[Finding, ...]:
        if name is not None and failed.lines:
            with contextlib.suppress(UnknownReleaseError):  # somebody removed its manifest
                return self._world.checks.explain(failed.lines, self._store.release(name))
        return (Finding("not_verified", failed.text),)

    def _tidy(self, result: Result) -> None:
        """Does what can wait until traffic is safe;
        a full disk does not fail the apply any more.
        """
        if isinstance(result, Applied):
            self._last_reload_s = result.reload_s
        try:
            self._store.prune()
            self._journal.compact()
        except (OSError, JournalError):
            return

    def _next_generation(self) -> int:
        return max(self._store.highest_generation(), self._journal.highest_generation()) + 1

    def _fallbacks(self, target: ReleaseName | None = None) -> tuple[ReleaseName, ...]:
        """Returns what to go back to: `current`,
        `known_good` (restored from the store), `previous`. From `known_good` there is no way back
        but itself: the others are older, or not proven.
        """
        current, good, previous = (
            self._store.linked(link) for link in ("current", "known_good", "previous")
        )
        if target is not None and target == good:
            return (target,)
        found = [current, good] + ([previous] if previous not in {current, good} else [])
        return tuple(
            name for name in found if name is not None and name != target and self._store.has(name)
        )
