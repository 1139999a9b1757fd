"""How often something that is drawn comes about: the bounds that a test of a share may ask for."""

import math
from typing import Final

#: A bound is left in fewer runs than one of so many, by chance alone.
RUNS: Final = 10**9


def likely(draws: int, share: float) -> range:
    """The counts that `draws` independent draws with this probability give, but in one run of
    10^9: `assert found.count("a") in likely(200, 0.25)`.

    `share`: more than 0, less than 1. From the binomial distribution itself, without an
    approximation. A range that begins at 0 or ends at `draws` says that there are too few draws to
    tell anything. Raises ValueError for a share that leaves nothing to chance.
    """
    if not 0.0 < share < 1.0:
        raise ValueError("a share of 0 or 1 is not drawn")
    return range(_least(draws, share), draws - _least(draws, 1.0 - share) + 1)


def _least(draws: int, share: float) -> int:
    """The least count: all that are lower have together less than half of the allowed chance."""
    below, count = 0.0, 0
    while (below := below + _exactly(count, draws, share)) < 0.5 / RUNS:
        count += 1
    return count


def _exactly(count: int, draws: int, share: float) -> float:
    logarithm = math.lgamma(draws + 1) - math.lgamma(count + 1) - math.lgamma(draws - count + 1)
    return math.exp(logarithm + count * math.log(share) + (draws - count) * math.log1p(-share))
