"""The watch over an instance ends when it is told to."""

import asyncio
from pathlib import Path

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

    def propose(self, finding: Finding, artefact: Artefact) -> None:
        raise AssertionError(finding, artefact)

    def reprobe(self) -> None:
        raise AssertionError("the binary is the same")

    def alarm(self, text: str | None) -> None:
        raise AssertionError(text)


async def cancelled_while_waking(folder: Path, turns: int) -> None:
    """Wakes a watch that waits, and cancels it so many turns of the loop later."""
    nothing = Nothing()
    watch = DriftWatch(
        nothing, nothing, Rules(Policy.HEAL), Artefacts(folder), lambda _: None, lambda: False
    )
    running = asyncio.create_task(watch.run())
    async with asyncio.timeout(20):
        await until_async(lambda: nothing.looks >= 2, "the first look")
        for _ in range(20):
            await asyncio.sleep(0)
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
