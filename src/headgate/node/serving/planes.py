"""Knows which data plane to use: the supervisor announces it, the pipeline waits for it."""

import asyncio
import contextlib

from headgate.engines.native.engine import NativeEngine
from headgate.engines.types import EngineUnavailableError
from headgate.node.link import DataPlane

_RETRY_S = 0.1


class DataPlanes:
    """The last announced data plane."""

    def __init__(self) -> None:
        self._announced: DataPlane | None = None
        self._news = asyncio.Event()
        self._turning = asyncio.Lock()

    @property
    def current(self) -> DataPlane | None:
        """The serving data plane, as last announced."""
        return self._announced

    def withdraw(self) -> None:
        """Forgets the data plane: it cannot be reached until the next one is announced."""
        self._announced = None

    def ended(self, plane: DataPlane) -> None:
        """Forgets this data plane, if it is the last announced one."""
        last = self._announced
        if last is not None and (last.generation, last.pid) == (plane.generation, plane.pid):
            self.withdraw()

    def announce(self, plane: DataPlane | None) -> None:
        """Records the supervisor's data plane."""
        if plane is not None:
            self._announced = plane
            self._news.set()

    async def connected(self, engine: NativeEngine, within_s: float) -> None:
        """Returns once `engine` talks to the last announced data plane.

        Raises EngineUnavailableError when that takes longer than `within_s` seconds.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within_s
        while True:
            self._news.clear()
            async with self._turning:  # two that connect would close each other's channel
                plane = self._announced
                why = "there is no data plane" if plane is None else await _turn_to(engine, plane)
            if why is None:
                return
            left = deadline - loop.time()
            if left <= 0:
                raise EngineUnavailableError(why)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left if plane is None else min(left, _RETRY_S)):
                    await self._news.wait()


async def _turn_to(engine: NativeEngine, plane: DataPlane) -> str | None:
    """Connects to a data plane unless connected; returns why it cannot be used, None if it can."""
    identity = engine.identity
    is_other = engine.socket != plane.grpc_socket  # of another supervisor, or over a new link
    if identity is None or identity.generation != plane.generation or identity.draining or is_other:
        try:
            identity = await engine.connect(plane.grpc_socket)
        except EngineUnavailableError as error:
            return str(error)
    return "the data plane is leaving" if identity.draining else None
