"""Work in the background goes on after an error that nobody expected."""

import asyncio

import loops
import structlog

from headgate.master.background import kept_up


def test_what_breaks_off_begins_again_and_what_ends_does_not() -> None:
    done: list[int] = []

    async def work() -> None:
        done.append(len(done))
        if len(done) < 3:
            raise RuntimeError("unexpected")

    async def cancelled() -> None:
        raise asyncio.CancelledError

    async def run() -> None:
        await kept_up("a look", work, again_s=0.0)
        task = asyncio.ensure_future(kept_up("another", cancelled, again_s=0.0))
        await asyncio.wait([task])
        assert task.cancelled()

    with structlog.testing.capture_logs() as logged:
        loops.run(run())
    assert done == [0, 1, 2]
    assert [one["work"] for one in logged] == ["a look", "a look"]
