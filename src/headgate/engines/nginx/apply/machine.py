"""Decides an apply as a machine: `handle(event, now) -> actions`. Pure.

| phase           | event                        | next            | actions                       |
|-----------------|------------------------------|-----------------|-------------------------------|
| fetch           | Fetched                      | stage           | stage                         |
| stage           | Staged                       | lint            | lint                          |
| lint            | Checked, no error            | test            | test                          |
| test            | Checked, no error            | preflight       | look at ports, rights, memory |
| preflight       | Checked, no error            | swap            | link `current`                |
| lint … preflight| Checked with an error        | (end: Rejected) | nothing was changed           |
| fetch … preflight| Trouble                     | (end: Rejected) | nothing was changed           |
| swap            | Done                         | signal          | HUP, or start                 |
| swap, signal    | Trouble                      | rollback        | link the old; no HUP          |
| signal          | Signalled                    | verify          | look                          |
| verify          | Seen: waiting                | verify          | pause, look again             |
| verify          | Seen: passed                 | soak            | look for a while              |
| verify          | Seen: REJECTED               | rollback        | link the old; no HUP          |
| verify, soak    | Seen: BROKEN, PARTIAL        | rollback        | link the old; HUP             |
| soak            | Seen: good until its end     | commit          | link the others               |
| commit          | Done                         | (end: Applied)  | prune                         |
| commit          | Trouble before it is written | rollback        | link the old; HUP             |
| rollback        | Done                         | rollback_signal | HUP                           |
| rollback        | Done after REJECTED          | rollback_verify | look: the old must still serve|
| rollback        | Done, there is no old        | rollback_signal | stop what we started, or HUP  |
| rollback_signal | Signalled                    | rollback_verify | look                          |
| rollback_verify | Seen: passed                 | (end: Rejected) | undone                        |
| rollback_verify | Seen: failed, no HUP so far  | rollback_signal | HUP                           |
| rollback_verify | Seen: failed                 | known_good      | restore the next fallback     |
| known_good      | Done                         | rollback_signal | HUP; the end is degraded      |
| rollback …      | Trouble                      | known_good      | the next fallback, or the end |
| known_good      | none is left                 | (end: Rejected) | link what was proven last     |

Each step is announced (journaled, synced) before it is taken; a rollback continues without that.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from headgate.engines.nginx.apply import steps as do
from headgate.engines.nginx.apply.causes import Finding
from headgate.engines.nginx.apply.journal import Step
from headgate.engines.nginx.apply.replay import BEFORE_SWAP
from headgate.engines.nginx.apply.results import Applied, Rejected, Result
from headgate.engines.nginx.apply.undo import Failure, How, Undo
from headgate.engines.nginx.apply.verdict import Failed, Passed, Watch
from headgate.engines.nginx.releases.names import ReleaseName

_LEAST_S = 8.0
_GRACE_S = 5.0
_PATIENCE = 3.0


@dataclass(frozen=True, slots=True)
class Request:
    """A request to apply a generation, and its timing. Times in seconds.

    `fallbacks`: the releases to go back to, best first; the first is `current`. `explain` makes
    findings of nginx's words, at least one. `last_reload_s`: how long the last reload took.
    """

    generation: int
    fallbacks: tuple[ReleaseName, ...]
    explain: Callable[[Failed], tuple[Finding, ...]]
    last_reload_s: float = 0.0
    soak_s: float = 2.0
    poll_s: float = 0.05
    soak_poll_s: float = 0.25


def deadline_s(last_reload_s: float) -> float:
    """Returns how long VERIFY may take: 5 s + 3 times the last reload, at least 8 s.

    nginx alone retries a busy port for 2.5 s before it gives up.

    >>> deadline_s(0.1), deadline_s(4.0)
    (8.0, 17.0)
    """
    return max(_LEAST_S, _GRACE_S + _PATIENCE * last_reload_s)


class Machine:
    """One apply, from FETCH to a result."""

    def __init__(self, request: Request) -> None:
        self.phase: Step = "fetch"
        self._request = request
        self._release: ReleaseName | None = None
        self._warnings: list[Finding] = []
        self._slow_s = request.last_reload_s
        self._watch: Watch | None = None
        self._signalled_at: float
        self._verified_s: float
        self._soaked_at: float
        self._caveats: list[str] = []
        self._undo: Undo | None = None
        self._handlers: Final = {
            "fetch": self._fetching,
            "stage": self._staging,
            "lint": self._checking,
            "test": self._checking,
            "preflight": self._checking,
            "swap": self._swapping,
            "signal": self._signalling,
            "verify": self._verifying,
            "soak": self._soaking,
            "commit": self._committing,
        }

    def begin(self) -> list[do.Action]:
        """Returns the first actions of a new apply."""
        return self._announced("fetch", do.Fetch())

    def resume(self, release: ReleaseName) -> list[do.Action]:
        """Continues at VERIFY after a crash that left nginx on the release."""
        self._release = release
        self.phase = "signal"
        return [do.Signal(release, "resume")]

    def undo(self, release: ReleaseName, how: How, now: float) -> list[do.Action]:
        """Goes back from a release that a crash left unproven."""
        self._release = release
        finding = Finding("interrupted", "the apply was interrupted and is undone")
        return self._roll_back((finding,), None, how, now)

    @property
    def release(self) -> ReleaseName | None:
        """The release of this apply; None before it is staged."""
        return self._release

    def handle(self, event: do.Event, now: float) -> list[do.Action]:
        """Returns the actions that follow an event; `now` is monotonic seconds.

        Raises ValueError for an event that the phase cannot have: a fault of the driver.
        """
        if self._undo is not None:
            actions = self._undo.handle(event, now)
            self.phase = self._undo.phase
            return actions
        if isinstance(event, do.Trouble):
            return self._trouble(event.finding, now)
        return self._handlers[self.phase](event, now)

    def _fetching(self, event: do.Event, _: float) -> list[do.Action]:
        self._must_be(event, do.Fetched)
        return self._announced("stage", do.Stage())

    def _staging(self, event: do.Event, _: float) -> list[do.Action]:
        if not isinstance(event, do.Staged):
            raise self._unexpected(event)
        self._release = event.release
        return self._announced("lint", do.Check("lint", event.release))

    def _checking(self, event: do.Event, now: float) -> list[do.Action]:
        if not isinstance(event, do.Checked) or self._release is None:
            raise self._unexpected(event)
        self._warnings += [one for one in event.findings if not one.is_error]
        self._slow_s = max(self._slow_s, event.took_s)
        errors = tuple(one for one in event.findings if one.is_error)
        if errors:
            return self._refused(errors)
        if self.phase == "lint":
            return self._announced("test", do.Check("test", self._release))
        if self.phase == "test":
            return self._announced("preflight", do.Check("preflight", self._release))
        return self._announced("swap", do.Link(self._release))

    def _swapping(self, event: do.Event, _: float) -> list[do.Action]:
        self._must_be(event, do.Done)
        return self._announced("signal", do.Signal(self._staged(), "reload"))

    def _signalling(self, event: do.Event, now: float) -> list[do.Action]:
        if not isinstance(event, do.Signalled):
            raise self._unexpected(event)
        self._signalled_at = now
        self._watch = Watch(event.expected, now, deadline_s(self._slow_s))
        return self._announced("verify", do.Look())

    def _verifying(self, event: do.Event, now: float) -> list[do.Action]:
        if isinstance(event, do.Woken):
            return [do.Look()]
        if not isinstance(event, do.Seen) or self._watch is None:
            raise self._unexpected(event)
        verdict = self._watch.judge(event.observation, now)
        if isinstance(verdict, Passed):
            self._verified_s = now - self._signalled_at
            self._soaked_at = now + self._request.soak_s
            self._caveats += verdict.caveats
            return self._announced("soak", do.Look())
        if isinstance(verdict, Failed):
            return self._failed(verdict, now)
        if verdict.deep and event.observation.faults is None:
            return [do.Look(deep=True)]
        faulty = bool(event.observation.faults)
        return [do.Pause(self._request.soak_poll_s if faulty else self._request.poll_s)]

    def _soaking(self, event: do.Event, now: float) -> list[do.Action]:
        if isinstance(event, do.Woken):
            return [do.Look()]
        if not isinstance(event, do.Seen) or self._watch is None:
            raise self._unexpected(event)
        failed = self._watch.still_good(event.observation)
        if failed is not None:
            return self._failed(failed, now)
        if now < self._soaked_at:
            return [do.Pause(min(self._request.soak_poll_s, self._soaked_at - now))]
        fallbacks = self._request.fallbacks
        previous = fallbacks[0] if fallbacks else None
        return self._announced("commit", do.Commit(self._staged(), previous))

    def _committing(self, event: do.Event, _: float) -> list[do.Action]:
        self._must_be(event, do.Done)
        return [do.Announce("done", self._release, must=False), do.Finish(self._applied())]

    def _applied(self) -> Applied:
        answered = self._watch.answered_at if self._watch is not None else None
        return Applied(
            generation=self._request.generation,
            release=self._staged(),
            reload_s=(answered or self._signalled_at) - self._signalled_at,
            verified_s=self._verified_s,
            warnings=tuple(self._warnings),
            caveats=tuple(self._caveats),
        )

    def _trouble(self, finding: Finding, now: float) -> list[do.Action]:
        """Handles an action that failed, or a step that could not be announced."""
        if self.phase in BEFORE_SWAP:
            return self._refused((finding,))
        if self.phase == "commit" and finding.code != "journal":
            self._caveats.append(finding.text)  # proven; a replay sets the links
            return [do.Finish(self._applied())]
        how: How = "look" if self.phase in {"swap", "signal"} else "reload"
        return self._roll_back((finding,), None, how, now)

    def _failed(self, failed: Failed, now: float) -> list[do.Action]:
        how: How = "look" if failed.outcome == "REJECTED" else "reload"
        return self._roll_back(self._request.explain(failed), failed, how, now)

    def _refused(self, errors: tuple[Finding, ...]) -> list[do.Action]:
        result: Result = Rejected(
            generation=self._request.generation,
            step=self.phase,
            cause=errors[0],
            findings=errors,
            warnings=tuple(self._warnings),
            release=self._release,
        )
        return [do.Announce("done", None, must=False), do.Finish(result)]

    def _roll_back(
        self, findings: tuple[Finding, ...], failed: Failed | None, how: How, now: float
    ) -> list[do.Action]:
        failure = Failure(
            self._request.generation,
            self._release,
            self.phase,
            None if failed is None else failed.outcome,
            findings,
            tuple(self._warnings),
            now,
        )
        self._undo = Undo(
            failure,
            self._request.fallbacks,
            how,
            deadline_s(self._slow_s),
            self._request.poll_s,
        )
        actions = self._undo.begin(now)
        self.phase = self._undo.phase
        return actions

    def _announced(self, step: Step, action: do.Action) -> list[do.Action]:
        self.phase = step
        return [do.Announce(step), action]

    def _staged(self) -> ReleaseName:
        assert self._release is not None  # noqa: S101 - STAGE comes before
        return self._release

    def _must_be(self, event: do.Event, kind: type[do.Event]) -> None:
        if not isinstance(event, kind):
            raise self._unexpected(event)

    def _unexpected(self, event: do.Event) -> ValueError:
        return ValueError(f"{type(event).__name__} while in {self.phase}")
