"""Simulated agents take turns to connect, so that few handshakes are under way."""

import asyncio
from collections.abc import AsyncIterator

import loops
from waiting import until_async

from headgate.master.dev.simulated import Enrolment, SimulatedAgent

_WHO = Enrolment("a" * 26, b"", b"", b"", ())


class Lines:
    """Connections that are made once they are let; counts how many are open."""

    def __init__(self) -> None:
        self.may = asyncio.Event()
        self.connecting: set[object] = set()
        self.open: set[object] = set()
        self.most = 0
        self.fails = False

    def made(self, target: str, who: Enrolment) -> "Line":
        del target, who
        return Line(self)


class Line:
    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        lines.open.add(self)

    async def connect(self, within_s: float) -> None:
        del within_s
        self._lines.connecting.add(self)
        self._lines.most = max(self._lines.most, len(self._lines.connecting))
        await self._lines.may.wait()
        self._lines.connecting.discard(self)
        if self._lines.fails:
            raise ConnectionError("no")

    async def send(self, frame: bytes) -> None:
        del frame

    async def frames(self) -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    async def close(self) -> None:
        self._lines.open.discard(self)


def played(*, fails: bool) -> Lines:
    """Ten agents, of which three connect at once, until all have tried."""

    async def play() -> Lines:
        lines = Lines()
        lines.fails = fails
        turns = asyncio.Semaphore(3)
        agents = [SimulatedAgent(_WHO, "", line=lines.made, turns=turns) for _ in range(10)]
        for agent in agents:
            agent.session._jitter.wait_s = lambda: 0.0  # type: ignore[method-assign]
        tasks = [asyncio.create_task(agent.run()) for agent in agents]
        async with asyncio.timeout(30):
            await until_async(lambda: len(lines.connecting) == 3)
            assert len(lines.open) == 3
            lines.may.set()
            if fails:
                await until_async(lambda: all(agent.attempts for agent in agents))
            else:
                await until_async(lambda: len(lines.open) == 10)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        return lines

    return loops.run(play())


def test_only_so_many_connect_at_once() -> None:
    lines = played(fails=False)
    assert (lines.most, lines.open) == (3, set())


def test_those_that_fail_are_closed_and_leave_their_turn_to_others() -> None:
    lines = played(fails=True)
    assert (lines.most, lines.open) == (3, set())
