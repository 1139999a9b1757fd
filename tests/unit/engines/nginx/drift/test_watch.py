"""The watch over an instance ends when it is told to."""

import asyncio
from pathlib import Path
from typing import Literal

from waiting import until_async

from headgate.engines.nginx.drift import (
    Artefact,
    Artefacts,
    Binary,
    Desired,
    DriftWatch,
    Finding,
    Policy,
    Rules,
    Running,
)


class Nothing:
    """An instance nothing was ever applied to."""

    def __init__(self) -> None:
        self.looks = 0

    def desired(self) -> Desired | None:
        self.looks += 1
        return None

    def running(self) -> Running | None:
        raise AssertionError("there is no release to compare with")

    def binary(self) -> Binary | None:
        raise AssertionError("there is no release to compare with")

    def is_applying(self) -> bool:
        return False

    def report(self, finding: Finding) -> None:
        raise AssertionError(finding)

    def heal(self, finding: Finding, artefact: Artefact) -> None:
        raise AssertionError(finding, artefact)

    def reprobe(self) -> None:
        raise AssertionError("the binary is the same")

    def alarm(self, text: str | None) -> None:
        raise AssertionError(text)


class Bell(asyncio.Event):
    """What a watch waits for; tells whether it does."""

    is_awaited = False

    async def wait(self) -> Literal[True]:
        self.is_awaited = True
        try:
            return await super().wait()
        finally:
            self.is_awaited = False


async def cancelled_while_waking(folder: Path, turns: int) -> None:
    """Wakes a watch that waits, and cancels it so many turns of the loop later."""
    nothing, bell = Nothing(), Bell()
    watch = DriftWatch(
        nothing,
        nothing,
        Rules(Policy.HEAL),
        Artefacts(folder),
        lambda _: None,
        lambda: False,
        _woken=bell,
    )
    running = asyncio.create_task(watch.run())
    async with asyncio.timeout(20):
        await until_async(lambda: bell.is_awaited, "the end of the first look")
        assert nothing.looks >= 2
        watch.wake()
        for _ in range(turns):
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert running.cancelled()


def test_a_cancellation_that_comes_while_it_wakes_up_ends_it(tmp_path: Path) -> None:
    """`asyncio.wait_for` of Python 3.11 loses one that comes with what was waited for."""

    async def play() -> None:
        await asyncio.gather(*(cancelled_while_waking(tmp_path, turns) for turns in range(8)))

    asyncio.run(play())
