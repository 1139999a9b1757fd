"""Judges looks at an nginx: passed, not yet, or how it failed. Pure; time is passed in."""

from dataclasses import dataclass
from typing import Literal

from headgate.engines.nginx.apply.evidence import Expectation, LogLine, Observation
from headgate.engines.nginx.common.types import Process

Outcome = Literal["REJECTED", "BROKEN", "PARTIAL"]
"""REJECTED: the old generation is untouched. BROKEN: no worker serves. PARTIAL: some work."""

SETTLED_S = 0.5
"""The time that workers must live: those that die in their init do so at once."""
UNKNOWN_SETTLED_S = 3.0
"""The same where the log says nothing: longer than nginx retries a bind (5 times, 500 ms apart)."""
FAULTS_S = 2.0
"""The time that listeners, names and probes may fail once all workers are new:
such a fault rarely heals.
"""


@dataclass(frozen=True, slots=True)
class Passed:
    """It serves. `caveats` are what could not be known or was overcome."""

    caveats: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Waiting:
    """Undecided; `deep`: the next look should try listeners, names and probes too."""

    deep: bool = False
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """It does not serve; `lines` are nginx's own words, else `text` says what was seen."""

    outcome: Outcome
    text: str
    lines: tuple[str, ...] = ()


Verdict = Passed | Waiting | Failed


class Watch:
    """The looks at one generation from SIGNAL to the verdict, or through SOAK."""

    def __init__(self, expected: Expectation, began: float, deadline_s: float) -> None:
        """`began`: monotonic seconds of the signal; the verdict is due `deadline_s` after it."""
        self.expected = expected
        self.answered_at: float | None = None
        self._deadline = began + deadline_s
        self._serving: frozenset[Process] = frozenset()
        self._since: float | None = None
        self._faults: tuple[str, ...] = ()
        self._faulty_since: float | None = None

    def judge(self, seen: Observation, now: float) -> Verdict:
        """Returns the verdict on everything so far, with one more look."""
        failed = self._failed(seen)
        if failed is not None:
            return failed
        missing = self._missing(seen, now)
        if not missing and seen.faults == ():
            return Passed(_caveats(seen))
        if seen.faults is not None:
            self._faults = seen.faults
            self._faulty_since = now if self._faulty_since is None else self._faulty_since
        faults = "; ".join(self._faults)
        if faults and self._faulty_since is not None and now - self._faulty_since >= FAULTS_S:
            return Failed("PARTIAL", faults)
        if now >= self._deadline:
            return _overdue(seen, missing or faults)
        return Waiting(deep=not missing, missing=missing or faults)

    def still_good(self, seen: Observation) -> Failed | None:
        """Returns what became wrong since it passed, for SOAK. Slow answers do not count."""
        failed = self._failed(seen)
        if failed is not None:
            return failed
        if not seen.has_master:
            return Failed("BROKEN", "the master process is gone")
        workers = self._counted(seen)
        if not workers:
            return Failed("BROKEN", "no worker is left")
        wrong = [one for one in seen.answers if one not in {None, self.expected.generation}]
        if wrong:
            return Failed("PARTIAL", f"generation {wrong[0]} answers beside the new one")
        return None

    def _failed(self, seen: Observation) -> Failed | None:
        lines = tuple(line for line in seen.log.lines if not self._is_harmless(line, seen))
        if not lines or not self.expected.needs_new_workers:
            return None
        texts = tuple(line.text for line in lines)
        if any(line.kind != "emerg" for line in lines):
            outcome: Outcome = "PARTIAL" if seen.new else "BROKEN"
        elif not seen.new and seen.old:
            outcome = "REJECTED"
        else:
            outcome = "PARTIAL" if seen.new or seen.old else "BROKEN"
        return Failed(outcome, texts[0], texts)

    def _is_harmless(self, line: LogLine, seen: Observation) -> bool:
        """Accepts bind retries, which may succeed, and crashes of old workers on their way out."""
        if line.kind == "bind_retry":
            return True
        return line.kind == "killed" and line.worker in seen.before

    def _counted(self, seen: Observation) -> frozenset[Process]:
        return seen.new if self.expected.needs_new_workers else seen.new | seen.old

    def _missing(self, seen: Observation, now: float) -> str:
        """Returns what the cheap checks still wait for; empty once they hold."""
        if not seen.has_master:
            return "there is no master process"
        workers = self._counted(seen)
        if len(workers) < self.expected.workers:
            self._since = None
            return f"{len(workers)} of {self.expected.workers} new workers run"
        if self._since is None or not self._serving <= workers:  # one of them was replaced
            self._since, self._serving = now, workers
        if self.expected.needs_new_workers and seen.old:
            return f"{len(seen.old)} old workers still accept"
        wrong = [one for one in seen.answers if one != self.expected.generation]
        if wrong or not seen.answers:
            what = "nothing" if not wrong or wrong[0] is None else f"generation {wrong[0]}"
            return f"the status socket answers {what}, not generation {self.expected.generation}"
        if self.answered_at is None:
            self.answered_at = now
        settled = SETTLED_S if seen.log.is_known else UNKNOWN_SETTLED_S
        if self.expected.needs_new_workers and now - self._since < settled:
            return f"the new workers live for less than {settled:g} s"
        return ""


def _overdue(seen: Observation, missing: str) -> Failed:
    """Returns the failure at the deadline; never REJECTED:
    the master may still read the new config.
    """
    outcome: Outcome = "PARTIAL" if seen.new or seen.old else "BROKEN"
    lines = tuple(line.text for line in seen.log.lines)
    return Failed(outcome, f"not verified in time: {missing}", lines)


def _caveats(seen: Observation) -> tuple[str, ...]:
    caveats = [line.text for line in seen.log.lines if line.kind == "bind_retry"]
    if not seen.log.is_known:
        caveats.append(f"the error log is unknown ({seen.log.why_unknown}); verified without it")
    return tuple(caveats)
