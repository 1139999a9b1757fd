"""A workspace that asks for much waits in its own line, and is refused cheaply and late."""

import asyncio
import contextlib

import loops
import pytest

from headgate.master.api.fairness import (
    AT_ONCE,
    MOST_PAUSING,
    MOST_REFUSED,
    NoPlaceError,
    Pauses,
    Places,
    Refusals,
    Turns,
)

LONG_S = 3600.0


class Clock:
    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


class Requests:
    """Requests that go on until they are told to end."""

    def __init__(self, longest_s: float = LONG_S) -> None:
        self.turns = Turns(longest_s)
        self.end = asyncio.Event()
        self.begun: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def add(self, workspace: str, count: int = 1) -> None:
        """Adds some, and lets them begin that may."""
        self.tasks += [asyncio.create_task(self._run(workspace)) for _ in range(count)]
        await self.settle()

    async def settle(self) -> None:
        """Lets every task go as far as it can."""
        for _ in range(10):
            await asyncio.sleep(0)

    async def _run(self, workspace: str) -> None:
        async with self.turns.turn(workspace):
            self.begun.append(workspace)
            await self.end.wait()

    async def finish(self) -> None:
        """Ends them all."""
        self.end.set()
        await asyncio.gather(*self.tasks, return_exceptions=True)


def test_a_workspace_has_few_requests_at_a_time_and_the_others_do_not_wait_for_it() -> None:
    async def play() -> None:
        requests = Requests()
        await requests.add("a", 100)
        await requests.add("b")
        await requests.add("", 20)
        assert requests.begun == ["a"] * AT_ONCE + ["b"] + [""] * 20
        await requests.finish()
        assert requests.begun.count("a") == 100
        assert not requests.turns._lines

    loops.run(play())


def test_requests_whose_client_has_left_keep_no_turn() -> None:
    async def play() -> None:
        requests = Requests()
        await requests.add("a", AT_ONCE + 3)
        for task in requests.tasks[: AT_ONCE + 2]:  # with a turn, or waiting for one
            task.cancel()
        await requests.settle()
        assert len(requests.begun) == AT_ONCE + 1
        await requests.add("a", AT_ONCE)
        assert len(requests.begun) == 2 * AT_ONCE
        await requests.finish()
        assert not requests.turns._lines

    loops.run(play())


def test_a_long_request_gives_its_turn_to_the_next_one_once() -> None:
    async def play() -> None:
        requests = Requests(longest_s=0)
        await requests.add("a", 5 * AT_ONCE)
        assert len(requests.begun) == 5 * AT_ONCE
        line = requests.turns._lines["a"].free
        await requests.finish()
        assert line._value == AT_ONCE

    loops.run(play())


def test_refusals_last_until_their_time_and_are_bounded() -> None:
    clock = Clock()
    refusals = Refusals(clock)
    refusals.add("a", 100, 60)
    assert refusals.left("a") == (100, 60)
    assert refusals.left("b") == (0, 0)
    clock.now = 99
    assert refusals.left("a") == (1, 60)
    clock.now = 100
    assert refusals.left("a") == (0, 0)
    refusals.add("a", 100, 60)
    refusals.forget()
    assert refusals.left("a") == (0, 0)
    for number in range(MOST_REFUSED + 10):
        refusals.add(str(number), 100, 60)
    assert len(refusals._until) == MOST_REFUSED
    assert refusals.left("9") == (0, 0)


def test_a_refusal_does_not_outlast_a_clock_that_is_set_back() -> None:
    clock = Clock()
    clock.now = 3_600_000
    refusals = Refusals(clock)
    refusals.add("a", 2_000, 60)
    clock.now = 0
    assert refusals.left("a") == (0, 0)
    clock.now = 3_600_001
    assert refusals.left("a") == (0, 0)


def test_a_bounded_number_of_refusals_pauses() -> None:
    async def play() -> None:
        pauses = Pauses(LONG_S)
        tasks = [asyncio.create_task(pauses.pause()) for _ in range(MOST_PAUSING + 10)]
        for _ in range(10):
            await asyncio.sleep(0)
        assert sum(task.done() for task in tasks) == 10
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await Pauses(0).pause()
        assert not pauses._waiting

    loops.run(play())


def test_places_are_bounded_in_all_and_for_each_and_given_back() -> None:
    places = Places(3, 2)
    with contextlib.ExitStack() as taken:
        for key in ("a", "a"):
            taken.enter_context(places.taken(key))
        with pytest.raises(NoPlaceError) as full, places.taken("a"):
            pass
        assert full.value.is_own_fault
        taken.enter_context(places.taken("b"))
        with pytest.raises(NoPlaceError) as full, places.taken("b"):
            pass
        assert not full.value.is_own_fault
    with places.taken("a"), places.taken("a"), places.taken("b"):
        pass
    assert not places._taken
