"""The verdict about a wave beside its control."""

from dataclasses import dataclass

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from headgate.master.domains.rollouts.gates import Outcome, Sample, judge
from headgate.master.domains.rollouts.spec import Gates


@dataclass(frozen=True)
class Case:
    """A wave and its control; `gate` is the one that decides."""

    wave: Sample
    control: Sample
    outcome: Outcome
    gate: str


def _sample(requests: int, errors: int = 0, latency_ms: float = 20.0, **more: int) -> Sample:
    return Sample(1, 60.0, 0.0, requests, errors, latency_ms, **more)


CASES = {
    "as good as its control": Case(_sample(1000, 10), _sample(1000, 10), "pass", "errors"),
    "more errors": Case(_sample(1000, 30), _sample(1000, 10), "fail", "errors"),
    "an outage behind both": Case(_sample(1000, 900), _sample(1000, 900), "pass", "errors"),
    "slower": Case(_sample(1000, 0, 100.0), _sample(1000, 0, 40.0), "fail", "latency"),
    "a little slower": Case(_sample(1000, 0, 60.0), _sample(1000, 0, 20.0), "pass", "latency"),
    "under half of the traffic": Case(_sample(499), _sample(1000), "fail", "traffic"),
    "half of the traffic": Case(_sample(500), _sample(1000), "pass", "traffic"),
    "no traffic beside a busy control": Case(_sample(0), _sample(1000), "fail", "traffic"),
    "too little on both": Case(_sample(3, 3), _sample(10), "inconclusive", "traffic"),
    "few requests, beside enough of its control": Case(
        _sample(40), _sample(60), "inconclusive", "traffic"
    ),
    "few requests, and all of them fail": Case(
        _sample(40, 40), _sample(60), "inconclusive", "errors"
    ),
    "an outage that too few requests of the control show": Case(
        _sample(1000, 1000), _sample(40, 40), "inconclusive", "errors"
    ),
    "no control, enough of its own": Case(_sample(100), Sample(), "pass", "traffic"),
    "many generations drain": Case(
        _sample(1000, draining=9), _sample(1000, draining=2), "fail", "draining"
    ),
    "they drain everywhere": Case(
        _sample(1000, draining=9), _sample(1000, draining=9), "pass", "draining"
    ),
    "a probe fails": Case(
        _sample(1000, probes=10, probes_failed=1), _sample(1000, probes=10), "fail", "probes"
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_wave_is_judged_beside_its_control(case: Case) -> None:
    verdict = judge(case.wave, case.control, Gates(min_requests=50), 1.0)
    assert verdict.outcome == case.outcome, verdict.findings
    decided = next(one for one in verdict.findings if one.gate == case.gate)
    assert decided.outcome == case.outcome
    assert decided.text in verdict.reason or case.outcome == "pass"


def test_traffic_is_compared_for_each_agent() -> None:
    wave, control = Sample(1, 60.0, 0.0, 100), Sample(9, 60.0, 0.0, 900)
    assert judge(wave, control, Gates(), 1.0).outcome == "pass"


def test_a_fleet_without_traffic_passes_if_no_requests_are_asked_for() -> None:
    assert judge(_sample(0), _sample(0), Gates(min_requests=0), 1.0).outcome == "pass"


@pytest.mark.parametrize(("likely", "outcome"), [(4, "pass"), (19, "pass"), (20, "fail")])
def test_a_few_requests_that_stay_away_are_chance(likely: int, outcome: Outcome) -> None:
    assert judge(_sample(0), _sample(likely), Gates(min_requests=0), 1.0).outcome == outcome


@given(
    requests=st.integers(1, 2000),
    beside=st.integers(0, 2000),
    share=st.floats(0.0, 1.0),
    agents=st.integers(1, 20),
    min_requests=st.integers(0, 200),
)
def test_a_wave_of_which_every_request_fails_never_passes(
    requests: int, beside: int, share: float, agents: int, min_requests: int
) -> None:
    wave = _sample(requests, requests)
    control = Sample(agents, 60.0, 0.0, beside, int(beside * share), 20.0)
    gates = Gates(min_requests=min_requests)
    is_outage = control.requests >= min_requests and control.error_share >= 0.99
    assume(not is_outage)
    assert judge(wave, control, gates, 1.0).outcome != "pass"


@given(requests=st.integers(0, 2000), beside=st.integers(0, 2000), min_requests=st.integers(1, 200))
def test_a_wave_passes_by_as_many_requests_of_its_own_as_decide(
    requests: int, beside: int, min_requests: int
) -> None:
    verdict = judge(_sample(requests), _sample(beside), Gates(min_requests=min_requests), 1.0)
    assert verdict.outcome != "pass" or requests >= min_requests
