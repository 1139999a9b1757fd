"""Who has a password looked at waits in a line that one address cannot fill."""

import asyncio

import loops
import pytest

from headgate.master.api.problems import ProblemError
from headgate.master.domains.sessions.passwords import MOST_AT_HAND, MOST_OF_ADDRESS, Passwords


class Line:
    """Requests that keep their turn, or wait for one, until they are told to end."""

    def __init__(self) -> None:
        self.passwords = Passwords()
        self.end = asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []

    async def add(self, address: str, count: int) -> None:
        """Adds some, and lets them come into the line."""
        self.tasks += [asyncio.create_task(self.come(address)) for _ in range(count)]
        await asyncio.sleep(0)

    async def come(self, address: str) -> None:
        """Has a turn; raises ProblemError if the line is full."""
        async with self.passwords.turn(address):
            await self.end.wait()

    async def refused(self, address: str) -> bool:
        """Whether one more from there is refused at once."""
        with pytest.raises(ProblemError) as problem:
            await self.come(address)
        return problem.value.status == 429


def test_an_address_has_so_many_places_in_the_line_and_others_have_theirs() -> None:
    async def play() -> None:
        line = Line()
        await line.add("a", MOST_OF_ADDRESS)
        assert await line.refused("a")
        others = MOST_AT_HAND - MOST_OF_ADDRESS
        for number in range(others):
            await line.add(f"b{number}", 1)
        assert await line.refused("c")
        line.end.set()
        await asyncio.gather(*line.tasks)
        await line.come("a")

    loops.run(play())


def test_who_leaves_gives_the_place_back() -> None:
    async def play() -> None:
        line = Line()
        await line.add("a", MOST_OF_ADDRESS)
        for task in line.tasks:
            task.cancel()
        await asyncio.gather(*line.tasks, return_exceptions=True)
        line.end.set()
        await asyncio.gather(*(line.come("a") for _ in range(MOST_OF_ADDRESS)))

    loops.run(play())
