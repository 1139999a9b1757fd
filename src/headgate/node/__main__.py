"""Runs the control process. `headgate run` makes its one argument."""

import asyncio
import contextlib
import os
import socket
import sys
from pathlib import Path

from headgate.node import capabilities, logs
from headgate.node.link import LinkError, SupervisorLink
from headgate.node.options import Options
from headgate.node.process import ControlProcess
from headgate.node.serving.choice import make_serving
from headgate.node.source import make_source
from headgate.node.state import Node


def main() -> int:
    """Runs the control process; returns the exit code."""
    options = Options.decode(sys.argv[-1])
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_text("headgate-ctl")  # what `ps` shows
    environment = os.environ.get("HEADGATE_LOG") or os.environ.get("RUST_LOG")
    logs.configure(logs.level_of(options.log_level or environment))
    if options.engine == "native":
        with contextlib.suppress(OSError):
            capabilities.give_up(capabilities.NET_ADMIN)  # for the supervisor alone
    try:
        return asyncio.run(_run(options))
    except LinkError as error:
        sys.stderr.write(f"headgate: {error}\n")
        return 1


async def _run(options: Options) -> int:
    link = await SupervisorLink.connect(str(Path(options.state_dir) / "supervisor.sock"))
    serving = make_serving(options, link)
    node = Node(options, make_source(options), link, serving, _lent_door())
    return await ControlProcess(node).run()


def _lent_door() -> socket.socket | None:
    """Returns the admin API's socket; None under an older supervisor, which lends none."""
    number = os.environ.pop("HEADGATE_ADMIN_FD", None)
    if number is None:
        return None
    os.set_inheritable(int(number), False)
    return socket.socket(fileno=int(number))


if __name__ == "__main__":
    sys.exit(main())
