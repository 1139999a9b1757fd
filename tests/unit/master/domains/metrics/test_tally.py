"""Adding and dividing what was served loses nothing."""

from hypothesis import given
from hypothesis import strategies as st

from headgate.master.domains.metrics.tally import MOST, Tally, added, divided

COUNT = st.integers(0, 1 << 53)
ANY_COUNT = COUNT | st.integers(0, MOST)
TALLIES = st.builds(
    Tally,
    covered_ms=COUNT,
    connection_ms=COUNT,
    requests=COUNT,
    client_errors=st.none() | COUNT,
    server_errors=COUNT,
    endpoint_failures=st.none() | COUNT,
    latency=st.lists(COUNT, max_size=25).map(tuple),
    drift_ms=st.none() | COUNT,
)
WEIGHTS = st.lists(st.integers(0, 1 << 40), min_size=1, max_size=40).filter(any)


@given(st.lists(ANY_COUNT, max_size=5), st.lists(ANY_COUNT, max_size=5))
def test_sums_stay_within_what_a_column_holds(one: list[int], two: list[int]) -> None:
    def of(counts: list[int]) -> Tally:
        return added(
            Tally(*(count,) * 6, latency=(count, count), drift_ms=count) for count in counts
        )

    whole = of([*one, *two])
    assert whole == added([of(one), of(two)])
    assert whole.requests == min(sum([*one, *two]), MOST)
    known = [value for value in whole._replace(latency=()) if isinstance(value, int)]
    assert all(value <= MOST for value in (*known, *whole.latency))


@given(TALLIES, WEIGHTS)
def test_the_parts_are_together_the_whole(whole: Tally, weights: list[int]) -> None:
    assert added(divided(whole, weights)) == whole


@given(st.lists(TALLIES, max_size=5), st.lists(TALLIES, max_size=5))
def test_it_does_not_matter_in_which_order_is_added(one: list[Tally], two: list[Tally]) -> None:
    assert added([*one, *two]) == added([added(one), added(two)]) == added([*two, *one])


def test_what_nobody_says_is_not_nothing() -> None:
    old, new = Tally(requests=1), Tally(requests=2, client_errors=0, latency=(2,))
    assert added([old, old]).client_errors is None
    assert added([old, new]) == Tally(requests=3, client_errors=0, latency=(2,))
    assert added([]) == Tally()
