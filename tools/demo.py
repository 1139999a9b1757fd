"""Runs `make run`, a fleet of one node (`headgate up`), and `make run-node`, a node alone on
examples/quickstart.toml with the three upstreams it names.

`PORT` moves every port of a demo together: PORT=8100 is 8100 for the proxy, 9190 for the admin
API, 9201 to 9203 for the upstreams, 8180 for the master and 8543 for its agents. Ctrl-C ends
everything, and so does closing the terminal.
"""

import asyncio
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from headgate.cli import calls
from headgate.cli.up import upstreams
from headgate.cli.up.children import when_ended
from headgate.cli.up_commands import directory
from headgate.supervisor import holder
from headgate.supervisor.statedir import StateDirError, check_length

ROOT = Path(__file__).resolve().parent.parent
CONFIG = ROOT / "examples" / "quickstart.toml"
PORT = 8000
ADMIN = 9090
UPSTREAMS = (9101, 9102, 9103)
MASTER = 8080
AGENTS = 8443
NODE_PORTS = (PORT, ADMIN, *UPSTREAMS)
FLEET_PORTS = (*NODE_PORTS, MASTER, AGENTS)
FLEET_OPTIONS = {"proxy": PORT, "listen": MASTER, "agents-listen": AGENTS, "admin": ADMIN}
UP_S = 20.0
STEP = 100
MAX_PORT = 65_535


class DemoError(Exception):
    """The demo cannot continue; the message says why and what to do."""


def holder_of(port: int) -> str | None:
    """Returns who listens on a loopback port; None when it is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            inodes = holder.listening_inodes(holder.Place(False, "127.0.0.1", port))
            return holder.process_of(inodes) or "another process"
    return None


def check_ports(wanted: Sequence[int], offset: int, target: str) -> None:
    """Raises DemoError when a port is held, naming the holder and a PORT that would do."""
    for port in wanted:
        held = holder_of(port + offset)
        if held is None:
            continue
        free = offset + STEP
        while any(holder_of(one + free) for one in wanted):
            free += STEP
        what = f"port {port + offset} is held by {held}"
        raise DemoError(f"{what}; try: make {target} PORT={PORT + free}")


def config_for(offset: int, folder: Path) -> Path:
    """Returns the quickstart itself, or a copy with its ports moved."""
    if offset == 0:
        return CONFIG
    text = CONFIG.read_text()
    for port in (PORT, *UPSTREAMS):
        text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{port + offset}")
    copy = folder / CONFIG.name
    copy.write_text(text)
    return copy


def state_folder() -> Path:
    """Returns build/demo, or a temporary folder if the checkout's path is too long for sockets."""
    folder = ROOT / "build" / "demo"
    try:
        check_length(str(folder))
    except StateDirError:
        folder = Path(tempfile.mkdtemp(prefix="headgate-"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


async def until_ready(node: asyncio.subprocess.Process, folder: Path) -> None:
    """Waits until the node serves; raises DemoError if it ends or takes too long."""
    deadline = asyncio.get_running_loop().time() + UP_S
    while asyncio.get_running_loop().time() < deadline:
        if node.returncode is not None:
            raise DemoError(f"the node ended with exit code {node.returncode}")
        try:
            if calls.call(folder, "GET", "/ready").status == 200:  # noqa: PLR2004
                return
        except calls.NoNodeError:
            pass  # not yet
        await asyncio.sleep(0.05)
    raise DemoError(f"the node does not serve after {UP_S:g} s")


def invitation(offset: int, folder: Path) -> str:
    """Returns the three commands to try."""
    shown = folder.relative_to(ROOT) if folder.is_relative_to(ROOT) else folder
    proxy, admin = PORT + offset, ADMIN + offset
    return f"""
headgate serves on http://127.0.0.1:{proxy} (Ctrl-C ends it). Three things to try:

  curl -i http://127.0.0.1:{proxy}/api/users
  .venv/bin/headgate explain GET http://127.0.0.1:{proxy}/api/users --state-dir {shown}
  curl -s http://127.0.0.1:{admin}/metrics

"""


def fleet(offset: int) -> NoReturn:
    """Becomes `headgate up`; what it keeps is apart for each PORT."""
    check_ports(FLEET_PORTS, offset, "run")
    arguments = [f"--{name}=127.0.0.1:{port + offset}" for name, port in FLEET_OPTIONS.items()]
    arguments.append(f"--upstream-port={UPSTREAMS[0] + offset}")
    if offset:
        folder = directory()
        arguments.append(f"--data={folder.with_name(f'{folder.name}-{PORT + offset}')}")
    program = Path(sys.executable).with_name("headgate")
    os.execv(program, [str(program), "up", *arguments])  # noqa: S606 - there is no shell


async def node_alone(offset: int) -> int:
    """Runs the node alone until interrupted; returns the exit code."""
    check_ports(NODE_PORTS, offset, "run-node")
    folder = state_folder()
    servers = await upstreams.serve(port + offset for port in UPSTREAMS)
    arguments = ["run", str(config_for(offset, folder)), "--state-dir", str(folder)]
    arguments += ["--admin", f"127.0.0.1:{ADMIN + offset}", "--log-level", "warn"]
    program = Path(sys.executable).with_name("headgate")
    stop = asyncio.Event()
    when_ended(stop.set)
    # A session of its own: Ctrl-C is ours to pass on.
    node = await asyncio.create_subprocess_exec(program, *arguments, start_new_session=True)
    ended = asyncio.create_task(node.wait())
    try:
        await until_ready(node, folder)
        sys.stdout.write(invitation(offset, folder))
        sys.stdout.flush()
        waiting = asyncio.create_task(stop.wait())
        await asyncio.wait({ended, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        return 0 if stop.is_set() else 1
    finally:
        if node.returncode is None:
            node.send_signal(signal.SIGTERM)  # drain …
            node.send_signal(signal.SIGINT)  # … and do not wait for it
        await ended
        for server in servers:
            server.close()


def main(arguments: Sequence[str]) -> int:
    """Reads PORT and runs the demo that is named, `fleet` or `node`; returns the exit code."""
    if list(arguments) not in (["fleet"], ["node"]):
        sys.stderr.write("demo: say which one: fleet or node\n")
        return 2
    text = os.environ.get("PORT") or str(PORT)
    if not text.isdecimal() or not PORT <= int(text) <= MAX_PORT - max(FLEET_PORTS) + PORT:
        sys.stderr.write(f"demo: PORT={text} is not possible; choose from {PORT} up\n")
        return 2
    try:
        if list(arguments) == ["fleet"]:
            fleet(int(text) - PORT)
        return asyncio.run(node_alone(int(text) - PORT))
    except DemoError as error:
        sys.stderr.write(f"demo: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
