"""The control process of a node, from its options to its exit code."""

import asyncio
import contextlib
import importlib
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from headgate.node import capabilities, logs, stderr
from headgate.node.about import version
from headgate.node.link import LinkError, SupervisorLink
from headgate.node.options import Options
from headgate.node.process import EXIT_CONFIG, ControlProcess
from headgate.node.remote.credentials import CredentialsError
from headgate.node.remote.dial import Dialer
from headgate.node.remote.link import RemoteLink
from headgate.node.serving.choice import make_serving
from headgate.node.source import make_source
from headgate.node.state import Node
from headgate.supervisor.statedir import Lock, StateDirError


def main() -> int:
    """Runs the control process; returns the exit code."""
    options = Options.decode(sys.argv[-1])
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_text("headgate-ctl")  # what `ps` shows
    if options.instance:
        logs.add(instance=options.instance)
    stderr.queue()
    environment = os.environ.get("HEADGATE_LOG") or os.environ.get("RUST_LOG")
    logs.configure(logs.level_of(options.log_level or environment))
    if options.engine == "native":
        with contextlib.suppress(OSError):
            capabilities.give_up(capabilities.NET_ADMIN)  # for the supervisor alone
    try:
        # A supervisor has locked the directory already.
        lock = None if options.remote is None else Lock(options.state_dir)
        code = asyncio.run(_run(options))
    except CredentialsError as error:
        sys.stderr.write(f"headgate: {error}\n")
        return EXIT_CONFIG
    except (LinkError, StateDirError) as error:
        sys.stderr.write(f"headgate: {error}\n")
        return 1
    del lock  # held until here
    return code


def check(arguments: Sequence[str]) -> int:
    """Prints the version of this program if it can drive the node of these options; starts
    nothing. Raises msgspec.ValidationError for options that it does not know."""
    Options.decode(*arguments)
    importlib.import_module("headgate.node.agent.setup")  # with the extension
    sys.stdout.write(f"{version()}\n")
    return 0


async def _run(options: Options) -> int:
    state_dir = Path(options.state_dir)
    link: SupervisorLink | RemoteLink
    if options.remote is not None:
        link = RemoteLink(Dialer(options.remote, version()), state_dir)
    else:
        link = await SupervisorLink.connect(str(state_dir / "supervisor.sock"))
    serving = make_serving(options, link)
    if options.master is not None:
        from headgate.node.agent.setup import agent_node

        node = agent_node(options, link, serving, _lent_door())
    else:
        node = Node(options, make_source(options), link, serving, _lent_door())
    code = await ControlProcess(node).run()
    if code == 0 and node.master is not None:
        node.master.left()
    return code


def _lent_door() -> socket.socket | None:
    """Returns the admin API's socket; None where no supervisor lends one."""
    number = os.environ.pop("HEADGATE_ADMIN_FD", None)
    if number is None:
        return None
    os.set_inheritable(int(number), False)
    return socket.socket(fileno=int(number))
