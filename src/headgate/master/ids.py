"""Makes ids that sort by the time they were made, and secrets with a readable kind."""

import hashlib
import secrets
from collections.abc import Callable
from typing import Final

Clock = Callable[[], int]
"""Returns the time in milliseconds since 1970 (UTC)."""
SKEW_MS: Final = 60_000
"""Clocks of masters may differ so much. What is further ahead is of a clock that was set back."""

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_RANDOM_BITS = 80
_STEP_BITS = 64
_CHARACTERS = 26


class _Order:
    """The last id of this process: those of one millisecond follow each other, too."""

    last = 0


def new_id(now_ms: int) -> str:
    """Returns 26 characters: 48 bits of time, then 80 random ones.

    Sorts by time; ids made in one process also sort in the order in which they were made.
    """
    number = (now_ms << _RANDOM_BITS) | secrets.randbits(_RANDOM_BITS)
    if number >> _RANDOM_BITS == _Order.last >> _RANDOM_BITS:
        number = _Order.last + 1 + secrets.randbits(_STEP_BITS)
    _Order.last = number
    return _written(number)


def oldest_id(at_ms: int) -> str:
    """Returns what sorts before every id that is made at that time or later."""
    return _written(at_ms << _RANDOM_BITS)


def _written(number: int) -> str:
    letters = []
    for _ in range(_CHARACTERS):
        letters.append(_ALPHABET[number & 31])
        number >>= 5
    return "".join(reversed(letters))


def new_secret(kind: str) -> str:
    """Returns a secret of 256 random bits; scanners of leaked secrets know it by `hg<kind>_`."""
    return f"hg{kind}_{secrets.token_urlsafe(32)}"


def digest_of(secret: str) -> str:
    """Returns what the database keeps of a secret: its sha256.

    Enough for 256 random bits, which nobody can guess; passwords take argon2id.
    """
    return hashlib.sha256(secret.encode()).hexdigest()
