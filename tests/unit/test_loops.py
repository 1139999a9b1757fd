"""Tests run their coroutines on a loop that stays open (support/loops.py says why)."""

import asyncio
from pathlib import Path

import loops

TESTS = Path(__file__).parents[1]


def test_what_was_left_running_ends_and_the_loop_stays() -> None:
    async def leaves_a_task() -> tuple[asyncio.AbstractEventLoop, asyncio.Task[bool]]:
        left = asyncio.create_task(asyncio.Event().wait())
        await asyncio.sleep(0)
        return asyncio.get_running_loop(), left

    (first, left), (second, _) = loops.run(leaves_a_task()), loops.run(leaves_a_task())
    assert first is second
    assert left.cancelled()
    assert not first.is_closed()


def test_no_test_closes_the_loop_that_it_ran_on() -> None:
    call = "asyncio." + "run("
    tests = [*TESTS.rglob("test_*.py"), *TESTS.glob("support/*.py")]
    assert [path for path in tests if call in path.read_text()] == []
