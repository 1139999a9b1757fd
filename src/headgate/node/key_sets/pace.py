"""Says when a key set is fetched again. Pure; all times are seconds."""

from typing import Final

LEAST_S: Final = 60.0
"""An answer cannot have a set fetched more often than that."""
_FIRST_S: Final = 1.0
_MOST_S: Final = 300.0
_SPREAD: Final = 0.2


def next_s(refresh_s: float, max_age_s: int | None, chance: float) -> float:
    """Returns how long to use a set that was just fetched.

    That is `refresh_s`, or less by the answer's `max-age`, but not less than a minute by that. Up
    to a fifth of it goes by `chance` (0 to 1), so that nodes do not ask all at once.

    >>> next_s(3600, None, 0), next_s(3600, 600, 0), next_s(3600, 0, 0), next_s(10, 0, 0)
    (3600, 600, 60.0, 10)
    >>> next_s(3600, 86400, 1)
    2880.0
    """
    wait = refresh_s if max_age_s is None else min(refresh_s, max(max_age_s, LEAST_S))
    return wait if not chance else wait * (1 - _SPREAD * chance)


def again_s(failures: int, refresh_s: float, chance: float) -> float:
    """Returns how long to wait after this many failures in a row, 1 or more.

    It doubles from 1 s to 5 minutes, and is never more than `refresh_s`; up to half of it goes by
    `chance` (0 to 1).

    >>> again_s(1, 3600, 0), again_s(4, 3600, 0), again_s(50, 3600, 0), again_s(9, 2, 1)
    (1.0, 8.0, 300.0, 1.0)
    """
    wait = min(_FIRST_S * 2.0 ** min(failures - 1, 16), _MOST_S, refresh_s)
    return wait * (1 - chance / 2)


def due_s(refresh_s: float, age_s: float) -> float:
    """Returns when to fetch a set of this age that an earlier process left.

    >>> due_s(3600, 600), due_s(3600, 7200), due_s(3600, -5)
    (3000, 0, 3600)
    """
    return min(max(refresh_s - age_s, 0), refresh_s)


def early_s(asked_at: float | None, now: float) -> float:
    """Returns when a set may be fetched before its time: a minute after it was last asked for.

    >>> early_s(None, 5), early_s(100, 110), early_s(100, 500)
    (0.0, 50.0, 0.0)
    """
    return 0.0 if asked_at is None else max(LEAST_S - (now - asked_at), 0.0)


def left_s(max_stale_s: float, age_s: float) -> float | None:
    """Returns how long a set of this age still counts while there is no newer one; None for one
    without end (`max_stale_s` is 0).

    >>> left_s(3600, 600), left_s(3600, 7200), left_s(0, 7200)
    (3000, 0, None)
    """
    return max(max_stale_s - age_s, 0) if max_stale_s else None
