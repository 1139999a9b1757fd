"""The wait after a failure before the next try. In memory, bounded; the clock is given.

API tokens are throttled here, in each master by itself: they are long, and cannot be guessed.
What people choose is throttled for all masters together (`shared`).
"""

from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from headgate.master.ids import SKEW_MS, Clock, digest_of

MOST_KEYS: Final = 10_000
FORGOTTEN_AFTER_MS: Final = 3_600_000
_FIRST_WAIT_MS = 1_000
_MOST_DOUBLINGS = 20


@dataclass(frozen=True, slots=True)
class Limit:
    """The number of free failures, and the longest wait after further ones."""

    free: int
    longest_ms: int


PAIR: Final = Limit(free=5, longest_ms=900_000)
"""For a user's name from one address."""
ADDRESS: Final = Limit(free=50, longest_ms=60_000)
NAME: Final = Limit(free=100, longest_ms=30_000)
"""For a user's name from anywhere: short, and not for who logged in with it from there before, so
that others cannot lock its owner out."""

_HOST_BITS = 64


@dataclass(slots=True)
class _Record:
    failures: int
    last_ms: int


def network_of(address: str) -> str:
    """Returns what failures from an address count for: the address itself, or the network of 64
    bits of an IPv6 address, all of which belong to whoever has one."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    first = IPv6Address(int(found) >> _HOST_BITS << _HOST_BITS)
    return f"{first}%{found.scope_id}" if found.scope_id else str(first)


def wait_of(limit: Limit, failures: int, last_ms: int, now_ms: int) -> int:
    """Returns how long the next try must wait after so many failures; 0 if it may come now."""
    if failures < limit.free or last_ms - now_ms > SKEW_MS:
        return 0
    doublings = min(failures - limit.free, _MOST_DOUBLINGS)
    until = last_ms + min(_FIRST_WAIT_MS << doublings, limit.longest_ms)
    return max(0, until - now_ms)


class Throttle:
    """Counts failures by key."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._records: OrderedDict[tuple[Limit, str], _Record] = OrderedDict()

    def wait_ms(self, keys: dict[Limit, str]) -> int:
        """Returns how long the next try must wait; 0 if it may come now."""
        return max((self._wait_ms(limit, key) for limit, key in keys.items()), default=0)

    def _wait_ms(self, limit: Limit, key: str) -> int:
        record = self._records.get((limit, key))
        if record is None:
            return 0
        return wait_of(limit, record.failures, record.last_ms, self._clock())

    def failed(self, keys: dict[Limit, str]) -> None:
        """Counts a failure for each key."""
        now = self._clock()
        for one in keys.items():
            record = self._records.pop(one, None)
            if record is None or now - record.last_ms > FORGOTTEN_AFTER_MS:
                record = _Record(0, now)
            record.failures += 1
            record.last_ms = now
            self._records[one] = record
        while len(self._records) > MOST_KEYS:
            self._records.popitem(last=False)

    def passed(self, keys: dict[Limit, str]) -> None:
        """Forgets the failures of the pair; the others fade by themselves."""
        for limit, key in keys.items():
            if limit is PAIR:
                self._records.pop((limit, key), None)


class Proven:
    """Remembers, by their digests, proofs that were right when they came last: others' wrong ones
    do not hold them up. Bounded."""

    def __init__(self) -> None:
        self._digests: OrderedDict[str, None] = OrderedDict()

    def add(self, token: str) -> None:
        """Remembers a token that was right."""
        key = digest_of(token)
        self._digests[key] = None
        self._digests.move_to_end(key)
        if len(self._digests) > MOST_KEYS:
            self._digests.popitem(last=False)

    def discard(self, token: str) -> None:
        """Forgets a token that was wrong."""
        self._digests.pop(digest_of(token), None)

    def has(self, token: str) -> bool:
        """Says whether it was right when it came last."""
        return digest_of(token) in self._digests
