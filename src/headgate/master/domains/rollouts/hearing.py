"""Hears what agents measured that have their session with another master of the database.

Each master writes the newest counters of its agents every few seconds, for the metrics of fleets;
whoever drives rollouts reads there what it did not hear itself. SQLite has one master alone, and
none of this.
"""

from collections.abc import AsyncIterator
from typing import Final

import msgspec

from headgate.master.domains.metrics import store as metrics
from headgate.master.domains.metrics.store import Judged
from headgate.master.domains.rollouts.figures import Figures
from headgate.master.fleet.hub import Hub
from headgate.master.ids import Clock
from headgate.master.store.database import Database
from headgate.master.store.scope import MASTER

_EVERY_MS: Final = 5_000
_BACK_MS: Final = 60_000
"""So far back a look goes: what was written late counts, and what is older is not fresh."""
AT_ONCE: Final = 500
"""Rows that are read at once; others wait for the loop."""


class Hearing:
    """Adds to the figures of this master those of agents that others hear."""

    def __init__(self, database: Database, hub: Hub, figures: Figures, clock: Clock) -> None:
        self._database = database
        self._hub = hub
        self._figures = figures
        self._clock = clock
        self._heard_at: int | None = None
        self._known: dict[str, int] = {}
        """The times when agents measured what the last look found."""

    async def hear(self) -> None:
        """Looks for what is new, at most every five seconds; raises StoreUnavailableError."""
        now_ms = self._clock()
        is_early = self._heard_at is not None and 0 <= now_ms - self._heard_at < _EVERY_MS
        if self._database.is_sqlite or is_early:
            return
        self._heard_at = now_ms
        here, known, self._known = self._hub.connected(), self._known, {}
        async for one in self._rows(now_ms - _BACK_MS):
            self._known[one.agent] = one.measured_at
            if one.agent in here or known.get(one.agent) == one.measured_at:
                continue
            figures = msgspec.json.decode(one.figures, type=dict[str, float])
            # The clocks of masters differ a little: nothing was measured in the future.
            self._figures.add(one.agent, min(one.measured_at, now_ms) / 1000, figures)

    async def _rows(self, since: int) -> AsyncIterator[Judged]:
        after, found = "", AT_ONCE
        while found == AT_ONCE:
            async with self._database.read(MASTER) as tx:
                rows = await metrics.judged_since(tx, since, after, AT_ONCE)
            for one in rows:
                yield one
            found, after = len(rows), rows[-1].agent if rows else after
