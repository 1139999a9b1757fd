"""Runs the gate. `headgate dataplane` makes its one argument."""

import asyncio
import contextlib
import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from headgate.node import capabilities, logs, stderr
from headgate.node.admin.limits import Places, most_connections
from headgate.node.admin.server import AddressTakenError, AdminServer, open_tcp
from headgate.node.gate.admin import admin_app, metrics_app
from headgate.node.gate.options import GateOptions
from headgate.node.gate.port import PortError, open_port
from headgate.node.gate.process import EXIT_CONFIG, Gate, supervisor_socket
from headgate.node.link import LinkError, SupervisorLink
from headgate.node.remote.credentials import CredentialsError

if TYPE_CHECKING:
    from headgate.node.gate.keeper import Keeper


def main() -> int:
    """Runs the gate; returns the exit code."""
    options = GateOptions.decode(sys.argv[-1])
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_text("headgate-gate")  # what `ps` shows
    stderr.queue()
    environment = os.environ.get("HEADGATE_LOG") or os.environ.get("RUST_LOG")
    logs.configure(logs.level_of(options.log_level or environment), "gate")
    with contextlib.suppress(OSError):
        capabilities.give_up(capabilities.NET_ADMIN)  # for the supervisor alone
    number = os.environ.pop("HEADGATE_ADMIN_FD")
    os.set_inheritable(int(number), False)
    admin = socket.socket(fileno=int(number))
    try:
        return asyncio.run(_run(options, admin))
    except LinkError as error:
        sys.stderr.write(f"headgate: {error}\n")
        return 1
    except (CredentialsError, PortError, AddressTakenError) as error:
        sys.stderr.write(f"headgate: {error}\n")
        return EXIT_CONFIG


async def _run(options: GateOptions, admin: socket.socket) -> int:
    with open_port(options.listen) as listening:
        metrics = [open_tcp(address) for address in options.metrics]
        link = await SupervisorLink.connect(supervisor_socket(options))
        gate = Gate(options, link, listening, _keeper(options))
        return await gate.run(_servers(gate, admin, metrics))


def _keeper(options: GateOptions) -> "Keeper | None":
    if options.fleet is None:
        return None
    from headgate.node.gate.keeper import keeper_of  # noqa: PLC0415 - most have files

    return keeper_of(options.master, Path(options.fleet.folder))


def _servers(gate: Gate, admin: socket.socket, metrics: list[socket.socket]) -> list[AdminServer]:
    places = Places(most_connections())
    return [
        AdminServer(admin_app(gate), [admin], Places(most_connections())),
        *(AdminServer(metrics_app(gate), [one], places) for one in metrics),
    ]


if __name__ == "__main__":
    sys.exit(main())
