"""Runs `make run`: a node on examples/quickstart.toml with the three upstreams it names.

`PORT` moves every port of the demo together: PORT=8100 is 8100 for the proxy, 9190 for the admin
API and 9201 to 9203 for the upstreams. Ctrl-C ends everything.
"""

import asyncio
import os
import signal
import socket
import sys
import tempfile
from pathlib import Path

from headgate.cli import calls
from headgate.cli.up import upstreams
from headgate.supervisor import holder
from headgate.supervisor.statedir import StateDirError, check_length

ROOT = Path(__file__).resolve().parent.parent
CONFIG = ROOT / "examples" / "quickstart.toml"
PORT = 8000
ADMIN = 9090
UPSTREAMS = (9101, 9102, 9103)
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
            inodes = holder.listening_inodes(False, "127.0.0.1", port)
            return holder.process_of(inodes) or "another process"
    return None


def ports(offset: int) -> list[int]:
    """Returns every port of the demo."""
    return [one + offset for one in (PORT, ADMIN, *UPSTREAMS)]


def check_ports(offset: int) -> None:
    """Raises DemoError when a port is held, naming the holder and a PORT that would do."""
    for port in ports(offset):
        held = holder_of(port)
        if held is None:
            continue
        free = offset + STEP
        while any(holder_of(one) for one in ports(free)):
            free += STEP
        raise DemoError(f"port {port} is held by {held}; try: make run PORT={PORT + free}")


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


async def run(offset: int) -> int:
    """Runs the demo until interrupted; returns the exit code."""
    check_ports(offset)
    folder = state_folder()
    servers = await upstreams.serve(port + offset for port in UPSTREAMS)
    arguments = ["run", str(config_for(offset, folder)), "--state-dir", str(folder)]
    arguments += ["--admin", f"127.0.0.1:{ADMIN + offset}", "--log-level", "warn"]
    program = Path(sys.executable).with_name("headgate")
    # A session of its own: Ctrl-C is ours to pass on.
    node = await asyncio.create_subprocess_exec(program, *arguments, start_new_session=True)
    ended = asyncio.create_task(node.wait())
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
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


def main() -> int:
    """Reads PORT and runs; returns the exit code."""
    text = os.environ.get("PORT") or str(PORT)
    if not text.isdecimal() or not PORT <= int(text) <= MAX_PORT - max(ports(0)) + PORT:
        sys.stderr.write(f"demo: PORT={text} is not possible; choose from {PORT} up\n")
        return 2
    try:
        return asyncio.run(run(int(text) - PORT))
    except DemoError as error:
        sys.stderr.write(f"demo: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
