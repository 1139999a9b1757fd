"""The bounds of what is drawn: wide enough for a thousand million runs, and no wider."""

import math
from fractions import Fraction

import pytest
from chance import RUNS, likely


def outside(bounds: range, draws: int, share: Fraction) -> Fraction:
    """The exact chance of a count out of these bounds."""
    ways = (
        math.comb(draws, count) * share**count * (1 - share) ** (draws - count)
        for count in range(draws + 1)
        if count not in bounds
    )
    return sum(ways, Fraction(0))


@pytest.mark.parametrize("share", [Fraction(1, 2), Fraction(1, 4), Fraction(1, 10)])
@pytest.mark.parametrize("draws", [60, 100, 200, 1000])
def test_a_count_is_out_of_its_bounds_in_less_than_one_run_of_10_9(
    draws: int, share: Fraction
) -> None:
    bounds = likely(draws, float(share))
    assert outside(bounds, draws, share) < Fraction(1, RUNS)
    narrower = range(bounds.start + 1, bounds.stop - 1)
    assert outside(narrower, draws, share) > Fraction(1, 2 * RUNS)


def test_too_few_draws_tell_nothing() -> None:
    assert likely(20, 0.5) == range(21)
    assert likely(40, 0.25).start == 0
    assert likely(200, 0.25).start > 0


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0])
def test_what_is_certain_is_not_drawn(share: float) -> None:
    with pytest.raises(ValueError, match="not drawn"):
        likely(10, share)
