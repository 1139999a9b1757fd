"""Which data plane to talk to: announced by the supervisor, waited for by the pipeline."""

import asyncio

from headgate.engines.native.engine import NativeEngine
from headgate.engines.native.types import EngineUnavailableError
from headgate.node.link import DataPlane

_RETRY_S = 0.1


class DataPlanes:
    """The last announced data plane."""

    def __init__(self) -> None:
        self._announced: DataPlane | None = None
        self._news = asyncio.Event()

    @property
    def current(self) -> DataPlane | None:
        """The data plane that serves, as far as we were told."""
        return self._announced

    def announce(self, plane: DataPlane | None) -> None:
        """The supervisor named a data plane."""
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
            plane, identity = self._announced, engine.identity
            if plane is not None:
                if identity is not None and identity.generation == plane.generation:
                    return
                try:
                    await engine.connect(plane.grpc_socket)
                    continue
                except EngineUnavailableError:
                    if loop.time() >= deadline:
                        raise
            elif loop.time() >= deadline:
                raise EngineUnavailableError("there is no data plane")
            wait = deadline - loop.time() if plane is None else _RETRY_S
            try:
                await asyncio.wait_for(self._news.wait(), wait)
            except TimeoutError:
                continue
