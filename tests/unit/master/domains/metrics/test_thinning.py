"""Figures of a node over days: nothing of the last day is lost, and they stay few."""

from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.master.domains.metrics import thinning
from headgate.master.domains.metrics.growth import KEPT_MS, LONG_MS, SHORT_MS, Growth, Slot, slots
from headgate.master.domains.metrics.series import stepped
from headgate.master.domains.metrics.tally import Tally, added
from headgate.master.domains.metrics.thinning import LEVELS, MINUTE_MS, MOST_ROWS

NOW = 1_800_000_000_000
HOUR_MS = 3_600_000


class Kept:
    """The figures of one node, in memory, with a clock."""

    def __init__(self) -> None:
        self.now = NOW
        self.rows: dict[Slot, Tally] = {}
        self.served: list[Growth] = []

    def look(self, after_ms: int, requests: int) -> None:
        """The node served so many requests since the last look."""
        since, self.now = self.now, self.now + after_ms
        growth = Growth(since, self.now, Tally(after_ms, requests=requests))
        self.served.append(growth)
        for slot, tally in slots(growth).items():
            self.rows[slot] = added([self.rows.get(slot, Tally()), tally])

    def thin(self) -> None:
        """What the master does every minute."""
        for level in LEVELS:
            before = thinning.due(level, self.now)
            while late := [s for s in self.rows if s.length == level.length and s.at < before]:
                at = min(slot.at for slot in late) // level.into * level.into
                gone = [s for s in late if at <= s.at < at + level.into]
                into = Slot(level.into, at)
                some = [("n", slot, self.rows.pop(slot)) for slot in gone]
                some += [("n", into, self.rows.pop(into))] if into in self.rows else []
                ((key, tally),) = thinning.merged(some, level.into).items()
                self.rows[key[1]] = tally
        before = thinning.gone(self.now)
        self.rows = {
            s: tally for s, tally in self.rows.items() if s.length < LONG_MS or s.at >= before
        }

    def looks(self, pauses: Iterator[int]) -> None:
        """Looks after these pauses, and thins every minute."""
        thinned = self.now
        for pause in pauses:
            self.look(pause, 1 + pause // 1_000)
            if self.now - thinned >= MINUTE_MS:
                thinned = self.now
                self.thin()


def test_a_day_of_looks_is_kept_whole_in_few_rows() -> None:
    kept = Kept()
    kept.looks(iter([SHORT_MS] * (2 * KEPT_MS // SHORT_MS)))
    kept.thin()
    by_length: dict[int, int] = {}
    for slot in kept.rows:
        by_length[slot.length] = by_length.get(slot.length, 0) + 1
    assert by_length[SHORT_MS] <= 244
    assert by_length[MINUTE_MS] <= 365
    assert len(kept.rows) <= 760
    # Every time has the length that its age asks for.
    for slot in kept.rows:
        age = kept.now - slot.at
        assert slot.length == SHORT_MS or age > HOUR_MS
        assert slot.length != MINUTE_MS or age <= 6 * HOUR_MS + LONG_MS
    wanted = sum(one.tally.requests for one in kept.served if one.until > kept.now - KEPT_MS)
    found = added(kept.rows.values()).requests
    assert abs(found - wanted) <= 16 * LONG_MS // SHORT_MS


PAUSES = st.one_of(st.just(SHORT_MS), st.integers(1_000, 40_000), st.integers(1_000, 12 * HOUR_MS))


@settings(max_examples=60, deadline=None)
@given(st.lists(PAUSES, min_size=1, max_size=300))
def test_rows_are_bounded_and_add_up_whatever_the_pauses(pauses: list[int]) -> None:
    kept = Kept()
    kept.looks(iter(pauses))
    kept.thin()
    assert len(kept.rows) <= MOST_ROWS
    wanted = added(one.tally for one in kept.served).requests
    if kept.now - NOW < KEPT_MS - LONG_MS:
        assert added(kept.rows.values()).requests == wanted
    else:
        assert added(kept.rows.values()).requests <= wanted
    # A series of any step has the same sums.
    for step in (SHORT_MS, MINUTE_MS, LONG_MS, HOUR_MS):
        points = stepped(kept.rows.items(), step)
        assert added(t for _, t in points) == added(kept.rows.values())
        assert all(slot.length >= step for slot, _ in points)
        assert [slot.at for slot, _ in points] == sorted(slot.at for slot, _ in points)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1_000, 30_000), min_size=1, max_size=200), st.integers(0, 500))
def test_thinning_twice_is_thinning_once(pauses: list[int], hours: int) -> None:
    kept = Kept()
    kept.looks(iter(pauses))
    kept.now += hours * 60_000
    kept.thin()
    once = dict(kept.rows)
    kept.thin()
    assert kept.rows == once
