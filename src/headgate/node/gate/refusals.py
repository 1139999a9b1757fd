"""Counts connections that were not let in, and says so in the log, not for each of them. Pure."""

from collections import Counter
from typing import Final

_QUIET_S: Final = 60.0
_MOST: Final = 64


class Refusals:
    """The counts by reason, and the last one in words."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.last = ""
        self._said: dict[tuple[str, str], float] = {}

    def add(self, reason: str, host: str, error: str, now: float) -> bool:
        """Counts one; returns whether it is worth a line: the same one is once a minute."""
        self.counts[reason] += 1
        self.last = f"{host}: {error}"
        key = (reason, host)
        if now < self._said.get(key, 0.0):
            return False
        if len(self._said) >= _MOST:
            self._said.clear()
        self._said[key] = now + _QUIET_S
        return True
