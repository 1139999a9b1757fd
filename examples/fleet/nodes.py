"""The processes of the fleet: the master, and nodes with an agent each."""

import asyncio
import contextlib
import os
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headgate.cli.up import first
from headgate.cli.up.children import Child, UpError, start

FLEET: Final = "example"
W: Final = "/workspaces/default"
_START_S: Final = 300.0
_STOP_S: Final = 30.0
_OWN: Final = """\
[node]
engine = "{engine}"
admin = "off"
log_level = "warn"
drain = {{ delay = "50ms", idle_grace = "100ms", deadline = "5s" }}

# Every node gets the same listener from the master, and opens it at an address of its own.
[node.listener_addresses]
web = "127.0.0.1:{port}"
"""


@dataclass(frozen=True, slots=True)
class Node:
    """One node: where its state is, and where it serves."""

    name: str
    engine: str
    folder: Path
    port: int

    @property
    def nginx_pid(self) -> Path:
        """Where the node's nginx, if it drives one, keeps its pid."""
        return self.folder / "s" / "nginx" / "run" / "nginx.pid"


def check_nginx() -> None:
    """Raises UpError if there is no nginx to drive."""
    where = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"))
    os.environ["PATH"] = where
    if shutil.which("nginx") is None:
        raise UpError("there is no nginx here; install it (Debian: apt install nginx-light)")


async def start_master(folder: Path, rest: int, grpc: int) -> Child:
    """Starts a master on SQLite."""
    arguments = ["master", "--data", str(folder / "master"), "--fleet-tls"]
    arguments += ["--listen", f"127.0.0.1:{rest}", "--agents-listen", f"127.0.0.1:{grpc}"]
    return await start("master", folder / "master.log", arguments, {"DATABASE_URL": ""})


async def link_of(master: Child) -> str:
    """Returns the token of the master's set-up link, once the master serves."""

    def serves() -> bool:
        said = master.said()
        return '"the master serves"' in said and first.setup_token(said) != ""

    await master.until(serves, "the start of the master", _START_S)
    return first.setup_token(master.said())


async def start_agent(node: Node, master_url: str, token: str) -> Child:
    """Starts a node that enrols with the token."""
    node.folder.mkdir()
    config = node.folder / "node.toml"
    config.write_text(_OWN.format(engine=node.engine, port=node.port))
    arguments = ["agent", "--master-url", master_url, "--config", str(config)]
    arguments += ["--state-dir", str(node.folder / "s")]
    env = {"HEADGATE_AGENT_TOKEN": token}
    return await start(node.name, node.folder / "agent.log", arguments, env)


async def end_agent(node: Node, agent: Child) -> None:
    """Drains a node and ends it, its nginx too."""
    try:
        async with asyncio.timeout(_STOP_S):
            await agent.stop(signal.SIGTERM)
    except TimeoutError:
        await agent.stop(signal.SIGINT)  # the second signal does not wait
    await asyncio.to_thread(_end_nginx, node)


def _end_nginx(node: Node) -> None:
    """Ends an nginx that its node had no time to stop."""
    with contextlib.suppress(OSError, ValueError):
        pid = int(node.nginx_pid.read_text())
        if str(node.folder).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGTERM)
