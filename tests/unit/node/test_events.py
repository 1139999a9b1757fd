"""The events of a node: their numbers, what is kept, and what a follower misses."""

from collections.abc import AsyncIterator

import loops
import msgspec

from headgate.node.events import KEPT, LOST, Event, EventLog, Line


def filled(count: int) -> EventLog:
    log = EventLog()
    for n in range(count):
        log.add("info", "test", str(n))
    return log


def events(lines: list[Line]) -> list[Event]:
    found = [msgspec.json.decode(line.json, type=Event) for line in lines]
    assert [one.seq for one in found] == [line.seq for line in lines]
    return found


async def taken(lines: AsyncIterator[Line], count: int) -> list[Line]:
    return [await anext(lines) for _ in range(count)]


def test_numbers_rise_also_from_one_process_to_the_next() -> None:
    first = filled(5).kept()
    then = filled(1).kept()
    assert [line.seq - first[0].seq for line in first] == [0, 1, 2, 3, 4]
    assert then[0].seq > first[-1].seq


def test_who_goes_on_gets_what_followed() -> None:
    log = filled(5)
    numbers = [line.seq for line in log.kept()]
    assert [one.message for one in events(log.kept(numbers[2]))] == ["3", "4"]
    assert log.kept(numbers[4]) == []
    assert len(log.kept(numbers[4] + 1)) == 5, "no event had that number yet"


def test_what_is_not_kept_any_more_is_told() -> None:
    log = filled(2)
    seen = log.kept()[1].seq
    for n in range(KEPT + 3):
        log.add("info", "test", str(n))
    lost, first, *_ = events(log.kept(seen))
    assert (lost.kind, lost.level, first.message) == (LOST, "warn", "3")
    assert lost.message == "3 events before this one are not kept any more"
    assert lost.seq == first.seq - 1
    assert len(log.kept()) == KEPT, "who asks for all misses nothing"


def test_after_a_restart_events_before_it_are_told_to_be_missing() -> None:
    seen = filled(1).kept()[0].seq
    (nothing,) = events(EventLog().kept(seen))
    lost, first = events(filled(1).kept(seen))
    message = "events of an earlier control process are not kept"
    assert [(one.kind, one.message) for one in (nothing, lost)] == [(LOST, message)] * 2
    assert first.message == "0"


def test_a_follower_that_is_too_slow_learns_what_it_missed() -> None:
    async def run() -> None:
        log = filled(1)
        follower = log.follow()
        await taken(follower, 1)
        for n in range(300):
            log.add("info", "test", str(n))
        lost, first = events(await taken(follower, 2))
        assert (lost.kind, first.message) == (LOST, "44")
        assert lost.message == "44 events before this one are not kept any more"
        rest = events(await taken(follower, 255))
        assert rest[-1].message == "299"

    loops.run(run())


def test_a_follower_that_goes_on_gets_each_event_once() -> None:
    async def run() -> None:
        log = filled(3)
        follower = log.follow(log.kept()[0].seq)
        first = await taken(follower, 1)
        log.add("info", "test", "new")
        found = events(first + await taken(follower, 2))
        assert [one.message for one in found] == ["1", "2", "new"]

    loops.run(run())
