"""Judges a wave by what its agents and its control measured over the same minutes. Pure."""

from typing import Final, Literal

import msgspec

from headgate.master.domains.rollouts.spec import Gates

Outcome = Literal["pass", "fail", "inconclusive"]

_NO_CHANCE: Final = 20
"""Of so many likely requests, more than half stay away by chance once in 200 times (Poisson); of
four of them, once in 11."""


class Sample(msgspec.Struct, frozen=True):
    """The measurements of a set of agents over one window.

    `agents` is how many of them gave data, `seconds` the time that these data cover, on average;
    `oldest_at` the time of the data that is oldest among
    them. `latency_ms` is the 99th percentile, None without requests. `draining` is the largest
    number of generations that drain on one agent. `requests_anew` are those requests that were
    counted while a node began anew, at an upgrade or a restart: the time of that is not known, so
    that `seconds` leaves it out, and rates leave them out.
    """

    agents: int = 0
    seconds: float = 0.0
    oldest_at: float = 0.0
    requests: int = 0
    errors: int = 0
    latency_ms: float | None = None
    draining: int = 0
    probes: int = 0
    probes_failed: int = 0
    requests_anew: int = 0

    @property
    def error_share(self) -> float:
        """The share of requests that failed; 0 without requests."""
        return self.errors / self.requests if self.requests else 0.0

    @property
    def probe_share(self) -> float:
        """The share of probes that failed; 0 without probes."""
        return self.probes_failed / self.probes if self.probes else 0.0

    @property
    def paced(self) -> int:
        """The requests of `seconds`."""
        return self.requests - self.requests_anew

    @property
    def per_agent_second(self) -> float:
        """Requests per agent and second; 0 without data."""
        return self.paced / (self.agents * self.seconds) if self.agents * self.seconds else 0.0


class Finding(msgspec.Struct, frozen=True):
    """The finding of one gate: its name, its outcome, and a sentence with the values."""

    gate: str
    outcome: Outcome
    text: str


class Verdict(msgspec.Struct, frozen=True):
    """The findings about a wave; the worst one decides."""

    at: float
    findings: tuple[Finding, ...]

    @property
    def outcome(self) -> Outcome:
        """`fail` if a gate failed, else `inconclusive` if one is, else `pass`."""
        found = {finding.outcome for finding in self.findings}
        return "fail" if "fail" in found else "inconclusive" if "inconclusive" in found else "pass"

    @property
    def reason(self) -> str:
        """The texts of the findings that decide."""
        outcome = self.outcome
        return "; ".join(one.text for one in self.findings if one.outcome == outcome)


def judge(wave: Sample, control: Sample, gates: Gates, at: float) -> Verdict:
    """Returns the verdict about a wave beside its control."""
    return Verdict(
        at,
        (
            _traffic(wave, control, gates),
            _errors(wave, control, gates),
            _latency(wave, control, gates),
            _draining(wave, control, gates),
            _probes(wave, control, gates),
        ),
    )


def _traffic(wave: Sample, control: Sample, gates: Gates) -> Finding:
    expected = control.per_agent_second * wave.agents * wave.seconds
    text = f"the wave served {wave.paced} requests, its control makes {expected:.0f} of them likely"
    is_telling = expected >= max(gates.min_requests, _NO_CHANCE)
    if is_telling and wave.paced + 0.5 < gates.traffic_of_control * expected:
        return Finding("traffic", "fail", text)
    if wave.requests >= gates.min_requests:
        return Finding("traffic", "pass", text)
    fewer = f"fewer than {gates.min_requests} decide nothing"
    return Finding("traffic", "inconclusive", f"{text}; {fewer}")


def _errors(wave: Sample, control: Sample, gates: Gates) -> Finding:
    """Failures count beside those of the control; a control of too few requests excuses none."""
    text = (
        f"{wave.error_share:.2%} of the wave's requests failed, "
        f"{control.error_share:.2%} of its control's"
    )
    if wave.error_share - control.error_share > gates.errors_over_control:
        return Finding("errors", _harm(gates, wave), text)
    is_excused = wave.error_share > gates.errors_over_control
    if is_excused and _harm(gates, control) == "inconclusive":
        few = f"{text}, which served only {control.requests}"
        return Finding("errors", "inconclusive", few)
    return Finding("errors", "pass", text)


def _latency(wave: Sample, control: Sample, gates: Gates) -> Finding:
    if wave.latency_ms is None or control.latency_ms is None:
        return Finding("latency", "pass", "there is no latency to compare")
    limit = max(
        control.latency_ms * gates.latency_times_control,
        control.latency_ms + gates.latency_over_control_ms,
    )
    text = (
        f"the wave's 99th percentile is {wave.latency_ms:.0f} ms, "
        f"its control's is {control.latency_ms:.0f} ms"
    )
    is_over = wave.latency_ms > limit
    return Finding("latency", _harm(gates, wave, control) if is_over else "pass", text)


def _harm(gates: Gates, *samples: Sample) -> Outcome:
    """Returns what harm that these samples show means; few requests decide nothing."""
    is_known = all(one.requests >= max(gates.min_requests, 1) for one in samples)
    return "fail" if is_known else "inconclusive"


def _draining(wave: Sample, control: Sample, gates: Gates) -> Finding:
    is_over = wave.draining > max(gates.draining_generations, control.draining)
    text = f"up to {wave.draining} generations drain on one agent of the wave"
    return Finding("draining", "fail" if is_over else "pass", text)


def _probes(wave: Sample, control: Sample, gates: Gates) -> Finding:
    is_over = wave.probe_share - control.probe_share > gates.probes_over_control
    text = f"{wave.probes_failed} of {wave.probes} probes of the wave failed"
    return Finding("probes", "fail" if is_over else "pass", text)
