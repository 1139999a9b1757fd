"""Many simulated agents at one master, and what they measure: `headgate dev fake-agents`."""

import asyncio
import resource
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

from headgate.master.dev.joining import Rest
from headgate.master.dev.simulated import Enrolment, SharedReading, SimulatedAgent
from headgate.master.dev.timings import Timings

_POLL_S = 0.1
_DEADLINE_S = 300.0
_SPARE_DESCRIPTORS = 256
_AT_ONCE = 500
"""So many connect at once: with all of them, handshakes take longer than a dial may."""


class TooFewDescriptorsError(Exception):
    """The limit of open files does not allow for so many connections."""


class Swarm:
    """The agents; they share blobs and the reading of offers, so that one process can hold them."""

    def __init__(self, agents: Iterable[Enrolment], target: str) -> None:
        blobs: dict[str, bytes] = {}
        read = SharedReading()
        turns = asyncio.Semaphore(_AT_ONCE)
        self.agents = [
            SimulatedAgent(who, target, blobs=blobs, read=read, turns=turns) for who in agents
        ]
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "Swarm":
        self._tasks = [asyncio.create_task(agent.run()) for agent in self.agents]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task

    async def until_live(self) -> float:
        """Waits until every agent has a session; returns the seconds. Raises TimeoutError."""
        began = time.monotonic()
        await _until(lambda: all(agent.is_live for agent in self.agents))
        return time.monotonic() - began

    async def heal(self) -> float:
        """Has every agent lose its connection at the same moment; returns the seconds until all
        have a session again. Raises TimeoutError."""
        fences = [agent.session.work.fence for agent in self.agents]
        began = time.monotonic()
        for agent in self.agents:
            agent.drop()
        await self.until_newer(fences)
        return time.monotonic() - began

    async def until_newer(self, fences: list[int]) -> None:
        """Waits until every agent has a session of a newer fence than that here. Raises
        TimeoutError."""
        pairs = list(zip(self.agents, fences, strict=True))
        await _until(lambda: all(one.is_live and one.session.work.fence > at for one, at in pairs))


def allow_descriptors(count: int) -> None:
    """Raises the process's own limit for `count` connections. Raises TooFewDescriptorsError."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # A connection of gRPC has one descriptor, and a second one while it is made.
    wanted = 2 * count + _SPARE_DESCRIPTORS
    if hard not in (resource.RLIM_INFINITY,) and hard < count + _SPARE_DESCRIPTORS:
        raise TooFewDescriptorsError(
            f"{count} connections need {count + _SPARE_DESCRIPTORS} open files, and the limit is "
            f"{hard}; raise it (ulimit -Hn) or ask for fewer agents"
        )
    if soft < wanted:
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


async def published(rest: Rest, complete: bool, count: int) -> Timings:
    """Publishes once, waits until `count` agents serve it, and returns the master's figures.
    Raises TimeoutError, JoinError and OSError."""
    path = "/dev/publish?complete" if complete else "/dev/publish"
    answer = await asyncio.to_thread(rest.post, path, dict[str, int])
    revision = answer["revision"]
    ends = time.monotonic() + _DEADLINE_S
    while True:
        timings = await asyncio.to_thread(rest.get, "/dev/timings", Timings)
        if timings.revision == revision and timings.serving >= count:
            return timings
        if time.monotonic() > ends:
            raise TimeoutError(f"{timings.serving} of {count} agents serve revision {revision}")
        await asyncio.sleep(_POLL_S)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(_DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - many agents, no single event
            await asyncio.sleep(_POLL_S)
