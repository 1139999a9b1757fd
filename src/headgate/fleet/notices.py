"""The notices that an agent has yet to tell: bounded, equal ones told as one. Pure."""

from collections import OrderedDict
from dataclasses import replace
from typing import Final

from headgate.fleet.frames import Notice, Notices

KEPT: Final = 64
APART_S: Final = 1.0
_LONGEST: Final = 2_000


class Outbox:
    """Notices that wait. A newer one that says the same replaces the older one: one object, an
    upstream, has many endpoints, so what it says of one hides nothing of the others."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[tuple[str, ...], Notice] = OrderedDict()
        self._dropped = 0
        self._not_before = 0.0

    def add(self, notice: Notice) -> None:
        """Keeps a notice; where too many wait the oldest one is dropped and counted."""
        notice = replace(notice, text=notice.text[:_LONGEST])
        key = (notice.level, notice.kind, notice.object, notice.text)
        before = self._waiting.pop(key, None)
        count = notice.count + (before.count if before else 0)
        self._waiting[key] = replace(notice, count=count)
        if len(self._waiting) > KEPT:
            _, oldest = self._waiting.popitem(last=False)
            self._dropped += oldest.count

    def deadline(self) -> float | None:
        """Returns from when on there is something to tell; None: nothing waits."""
        return self._not_before if self._waiting else None

    def take(self, now: float) -> Notices | None:
        """Returns what waits, at most once a second; None: nothing is to be told now."""
        if not self._waiting or now < self._not_before:
            return None
        told = Notices(tuple(self._waiting.values()), self._dropped)
        self._waiting.clear()
        self._dropped = 0
        self._not_before = now + APART_S
        return told
