"""Runs the admin API's servers: one for the Unix socket, one per address, as the config says."""

import asyncio
import contextlib
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from starlette.types import ASGIApp

from headgate.compile.settings import NodeSettings
from headgate.node import logs
from headgate.node.admin.gate import Gate
from headgate.node.admin.limits import Places, most_connections
from headgate.node.admin.server import AddressTakenError, AdminServer, open_tcp, open_unix
from headgate.node.options import Options
from headgate.node.ports import Objection

_GRACE_S = 4.0
_TAKEN_ALLOWED: Final = (
    'write another address, or `admin = "off"` to serve the Unix socket alone; '
    "another node may run here"
)


@dataclass(frozen=True, slots=True)
class _Running:
    is_admin: bool
    socket: socket.socket
    server: AdminServer
    task: asyncio.Task[None]


class AdminServers:
    """Serves `admin_app` on the Unix socket and, with a token,
    on loopback; `metrics_app` if wanted.
    """

    def __init__(self, options: Options, door: socket.socket | None = None) -> None:
        """`door`: the Unix socket, if the supervisor lends it; waiting connections stay."""
        self._options = options
        self._door = door
        self._apps: dict[bool, ASGIApp] = {}
        self._running: dict[str, _Running] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._prepared: dict[str, socket.socket] = {}
        self._wanted: dict[str, bool] = {}
        self._log_level = ""
        self._token: str | None = None
        self._wanted_token: str | None = None
        self._places = {True: Places(most_connections()), False: Places(most_connections())}
        """The places of the Unix socket, and of all addresses."""
        self._record = Path(options.state_dir) / "admin.json"

    def start(self, admin: ASGIApp, metrics: ASGIApp, *, restore: bool) -> None:
        """Serves the Unix socket; addresses follow with the first config.

        `restore`: also what the control process before us served, in case the config is refused.
        """
        self._apps = {True: Gate(admin, lambda: self._token), False: metrics}
        path = Path(self._options.state_dir) / "admin.sock"
        self._start(str(path), self._door or open_unix(path), admin, is_admin=True)
        if restore:
            with contextlib.suppress(OSError, ValueError, AddressTakenError):
                before = msgspec.json.decode(self._record.read_bytes(), type=dict[str, bool])
                for address, is_admin in before.items():
                    self._serve(address, open_tcp(address), is_admin=is_admin)

    def addresses(self) -> list[str]:
        """Returns the served addresses, the path of the Unix socket included."""
        return list(self._running)

    def connections(self) -> int:
        """Returns how many connections are open."""
        return sum(len(places) for places in self._places.values())

    def prepare(self, settings: NodeSettings) -> list[Objection]:
        """Opens the new addresses; returns their errors."""
        options = self._options
        paths = dict.fromkeys(options.metrics or (), "") | dict.fromkeys(options.admin or (), "")
        for key, addresses in (("metrics", settings.metrics), ("admin", settings.admin)):
            for index, address in enumerate(addresses):
                paths.setdefault(address, f"{key}[{index}]")
        admin = settings.admin if options.admin is None else options.admin
        metrics = settings.metrics if options.metrics is None else options.metrics
        self._wanted = dict.fromkeys(metrics, False) | dict.fromkeys(admin, True)
        self._log_level = options.log_level or settings.log_level
        self._wanted_token = settings.admin_token
        wrong: list[Objection] = []
        for address in self._wanted:
            if address not in self._running:
                try:
                    self._prepared[address] = open_tcp(address)
                except AddressTakenError as error:
                    wrong.append(Objection(paths[address], str(error), _TAKEN_ALLOWED))
        return wrong

    def commit(self) -> None:
        """Serves the prepared addresses, and closes those that the config no longer names."""
        logs.configure(self._log_level)
        self._token = self._wanted_token
        for address, is_admin in self._wanted.items():
            running = self._running.get(address)
            if running is not None and running.is_admin is not is_admin:
                self._prepared[address] = running.socket.dup()
                self._stop(address)
        for address, one in self._prepared.items():
            self._serve(address, one, is_admin=self._wanted[address])
        self._prepared.clear()
        gone = [a for a in self._running if a not in self._wanted and not a.startswith("/")]
        for address in gone:
            self._stop(address)
        with contextlib.suppress(OSError):  # a full disk must not refuse a config
            self._record.write_bytes(msgspec.json.encode(self._wanted))

    def abandon(self) -> None:
        """Closes addresses that were prepared and not committed."""
        for one in self._prepared.values():
            one.close()
        self._prepared.clear()

    async def close(self) -> None:
        """Stops everything; requests in flight get a moment."""
        for address in list(self._running):
            self._stop(address)
        if self._leaving:
            await asyncio.wait(self._leaving, timeout=_GRACE_S)

    def _serve(self, address: str, one: socket.socket, *, is_admin: bool) -> None:
        self._start(address, one, self._apps[is_admin], is_admin=is_admin)

    def _start(self, address: str, one: socket.socket, app: ASGIApp, *, is_admin: bool) -> None:
        server = AdminServer(app, [one], self._places[address.startswith("/")])
        task = asyncio.create_task(server.run_until_stopped())
        self._running[address] = _Running(is_admin, one, server, task)

    def _stop(self, address: str) -> None:
        running = self._running.pop(address)
        running.server.stop()
        self._leaving.add(running.task)
        running.task.add_done_callback(self._leaving.discard)
        with contextlib.suppress(OSError):
            if address.startswith("/") and self._door is None:
                Path(address).unlink()
