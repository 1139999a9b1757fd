"""Runs the gate: the control link's door, and the admin API of a node without a control process."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from socket import socket
from typing import TYPE_CHECKING, TypeVar

import structlog

from headgate.node.about import version
from headgate.node.admin.server import AdminServer
from headgate.node.gate.door import Door
from headgate.node.gate.options import GateOptions
from headgate.node.link import About, LinkError, SupervisorLink

if TYPE_CHECKING:
    from headgate.engines.native.client import DataPlaneClient
    from headgate.node.gate.keeper import Keeper

T = TypeVar("T")

EXIT_CONFIG = 78
_GRACE_S = 2.0

_log = structlog.get_logger()


class Gate:
    """The parts of the process, and its life."""

    def __init__(
        self,
        options: GateOptions,
        link: SupervisorLink,
        listening: socket,
        keeper: "Keeper | None" = None,
    ) -> None:
        """`keeper`: of a certificate that a master issues. Raises CredentialsError when the
        certificate files cannot be used."""
        self._keeper = keeper
        self.options = options
        self.link = link
        self.door = Door(options, listening, version())
        if keeper is not None:
            self.door.trouble = lambda: keeper.error
        self.started_at = time.time()
        self.is_draining = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._servers: list[AdminServer] = []
        self._client: tuple[str, DataPlaneClient] | None = None
        self._end: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def run(self, servers: list[AdminServer]) -> int:
        """Runs until told to leave; returns the exit code."""
        about = await self.link.hello()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._leave, 0)
        self._servers = servers
        for server in servers:
            self._spawn(server.run_until_stopped())
        self._spawn(self.door.run())
        self._spawn(self._follow_supervisor())
        if self._keeper is not None:
            self._spawn(self._keep(self._keeper, is_serving=bool(about.listening)))
        _log.info("gate.listening", address=self.options.listen)
        if not about.listening:
            await self.link.reloaded(f"waits for a control plane at {self.options.listen}")
        code = await self._end
        await self._close()
        return code

    async def _keep(self, keeper: "Keeper", *, is_serving: bool) -> None:
        from headgate.node.gate.keeper import (  # noqa: PLC0415 - most have files
            EnrolmentRefusedError,
        )

        try:
            await keeper.run()
        except EnrolmentRefusedError as error:
            if not is_serving:
                sys.stderr.write(f"headgate: {error}\n")
                self._leave(EXIT_CONFIG)

    async def supervisor(self) -> About | None:
        """Returns what the supervisor says; None when it is gone."""
        with contextlib.suppress(LinkError):
            return await self.link.status()
        return None

    async def client(self) -> "DataPlaneClient | None":
        """Returns a channel to the data plane that serves; None while there is none."""
        from headgate.engines.native.client import (  # noqa: PLC0415 - the link needs no gRPC
            DataPlaneClient,
        )

        about = await self.supervisor()
        plane = None if about is None else about.dataplane
        if plane is None:
            return None
        if self._client is None or self._client[0] != plane.grpc_socket:
            await self._close_client()
            self._client = (plane.grpc_socket, DataPlaneClient(plane.grpc_socket))
        return self._client[1]

    async def _close_client(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client[1].close()

    async def _follow_supervisor(self) -> None:
        async for event, _ in self.link.events():
            if event == "reload":
                why = await self.door.renew()
                if not self.door.about().connected:  # otherwise the control plane answers systemd
                    await self.link.reloaded(why or "certificates read again")
            elif event == "draining":
                self.is_draining = True
        self._leave(0)  # without the supervisor we end, too

    def _leave(self, code: int) -> None:
        if not self._end.done():
            self._end.set_result(code)

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        if not isinstance(error, LinkError):
            _log.error("gate.failed", exc_info=error)
        self._leave(1)

    async def _close(self) -> None:
        self.door.close()
        for server in self._servers:
            server.stop()
        await asyncio.sleep(0)
        serving = set(self._tasks)
        if serving:
            await asyncio.wait(serving, timeout=_GRACE_S / 4)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_GRACE_S)
        await self._close_client()
        await self.link.close()


def supervisor_socket(options: GateOptions) -> str:
    """Returns the path of the supervisor's Unix socket."""
    return str(Path(options.state_dir) / "supervisor.sock")


def pids(about: About | None) -> dict[str, int]:
    """Returns the processes of this node by name."""
    found = {"supervisor": os.getppid(), "gate": os.getpid()}
    if about is not None and about.dataplane is not None:
        found["dataplane"] = about.dataplane.pid
    return found
