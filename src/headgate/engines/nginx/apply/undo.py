"""Goes back by a rollback that is verified like an apply, with its fallbacks. Pure.

Part of `headgate.engines.nginx.apply.machine`, which has the table.
"""

from dataclasses import dataclass
from typing import Literal

from headgate.engines.nginx.apply import steps as do
from headgate.engines.nginx.apply.causes import Finding
from headgate.engines.nginx.apply.journal import Step
from headgate.engines.nginx.apply.results import Rejected
from headgate.engines.nginx.apply.verdict import Failed, Outcome, Passed, Watch
from headgate.engines.nginx.releases.names import ReleaseName

How = Literal["reload", "look", "leave"]
"""`look`: check that the old generation still serves. `leave`: nginx does not run; only link."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The failure that makes an undo necessary."""

    generation: int
    release: ReleaseName | None
    step: Step
    outcome: Outcome | None
    findings: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    at: float
    """The time of its detection, in monotonic seconds."""


class Undo:
    """One rollback, from the failure's detection to a result."""

    def __init__(
        self,
        failure: Failure,
        fallbacks: tuple[ReleaseName, ...],
        how: How,
        deadline_s: float,
        poll_s: float,
    ) -> None:
        """`fallbacks`: best first; none = there was no release before."""
        self.phase: Step = "rollback"
        self._failure = failure
        self._left = list(fallbacks)
        # `known_good` comes second, also where it is `current` (`Applier._fallbacks`).
        self._proven = fallbacks[:2][-1] if fallbacks else None
        self._is_home = False
        self._is_stuck = False
        self._target: ReleaseName | None = None
        self._how = how
        self._deadline_s = deadline_s
        self._poll_s = poll_s
        self._attempt = 0
        self._is_restored: bool
        self._watch: Watch | None = None
        self._caveats: list[str] = []

    def begin(self, now: float) -> list[do.Action]:
        """Returns the first actions."""
        return self._next(now)

    def handle(self, event: do.Event, now: float) -> list[do.Action]:
        """Returns the actions that follow an event."""
        if isinstance(event, do.Trouble):
            return self._trouble(event.finding, now)
        if self.phase == "rollback_verify":
            return self._verify(event, now)
        if isinstance(event, do.Signalled) and self._target is not None:
            self._watch = Watch(event.expected, now, self._deadline_s)
            return self._announced("rollback_verify", do.Look())
        if isinstance(event, do.Done) and self.phase == "known_good" and not self._is_restored:
            self._is_restored = True
            return [do.Link(self._target)]
        if isinstance(event, do.Done):
            return self._linked(now)
        raise ValueError(f"{type(event).__name__} while in {self.phase}")

    def _next(self, now: float) -> list[do.Action]:
        """Tries the next fallback, if there is one."""
        self._attempt += 1
        if not self._left and self._attempt > 1:
            return self._finish(now, serving=None)
        self._target = self._left.pop(0) if self._left else None
        if self._attempt == 1:
            return self._announced("rollback", do.Link(self._target))
        if self._how == "look":
            self._how = "reload"
        self._is_restored = False
        assert self._target is not None  # noqa: S101 - there was one left
        return self._announced("known_good", do.Restore(self._target))

    def _linked(self, now: float) -> list[do.Action]:
        """Continues once `current` is the target."""
        if self._target is None:
            if self.phase == "rollback" and self._how == "reload":
                self.phase = "rollback_signal"
                return [do.Stop()]
            return self._finish(now, serving=None)
        if self._how == "leave":
            return self._finish(now, serving=None)
        return self._signal()

    def _signal(self) -> list[do.Action]:
        assert self._target is not None  # noqa: S101 - without a target nothing is signalled
        how: Literal["reload", "look"] = "look" if self._how == "look" else "reload"
        return self._announced("rollback_signal", do.Signal(self._target, how))

    def _verify(self, event: do.Event, now: float) -> list[do.Action]:
        if isinstance(event, do.Woken):
            return [do.Look()]
        if not isinstance(event, do.Seen) or self._watch is None:
            raise ValueError(f"{type(event).__name__} while in {self.phase}")
        verdict = self._watch.judge(event.observation, now)
        if isinstance(verdict, Passed):
            self._caveats += verdict.caveats
            return self._finish(now, serving=self._target)
        if isinstance(verdict, Failed):
            self._caveats.append(f"back to {self._target}: {verdict.text}")
            if self._how == "look":
                self._how = "reload"
                return self._signal()
            return self._next(now)
        return [do.Look(deep=True)] if verdict.deep and _is_shallow(event) else self._pause()

    def _trouble(self, finding: Finding, now: float) -> list[do.Action]:
        self._caveats.append(f"back to {self._target or 'no release'}: {finding.text}")
        if self.phase == "known_good" and not self._is_restored:
            self._is_restored = True  # even as it is on disk, it may be better than nothing
            return [do.Link(self._target)]
        if self._target is None:
            self._is_stuck = self.phase == "rollback_signal"
            return self._finish(now, serving=None)
        return self._next(now)

    def _pause(self) -> list[do.Action]:
        return [do.Pause(self._poll_s)]

    def _announced(self, step: Step, action: do.Action) -> list[do.Action]:
        self.phase = step
        return [do.Announce(step, self._target, must=False), action]

    def _finish(self, now: float, serving: ReleaseName | None) -> list[do.Action]:
        """Ends the rollback. If nothing proved to serve, `current` becomes what was proven last."""
        is_elsewhere = serving is None and self._proven is not None and self._target != self._proven
        if not is_elsewhere or self._is_home:
            return self._ended(now, serving)
        self._is_home = True
        return [do.Link(self._proven), *self._ended(now, serving)]

    def _ended(self, now: float, serving: ReleaseName | None) -> list[do.Action]:
        failure = self._failure
        had_one = self._target is not None
        is_lost = had_one and serving is None and self._how != "leave"
        result = Rejected(
            generation=failure.generation,
            step=failure.step,
            cause=failure.findings[0],
            findings=failure.findings,
            warnings=failure.warnings,
            release=failure.release,
            outcome=failure.outcome,
            serving=serving,
            is_degraded=is_lost or self._is_stuck or self._attempt > 1,
            undone_s=now - failure.at,
            caveats=tuple(self._caveats),
        )
        return [do.Announce("done", serving, must=False), do.Finish(result)]


def _is_shallow(event: do.Seen) -> bool:
    return event.observation.faults is None
