"""`headgate up` from start to end: the demo upstreams, the master, its first set-up, the agent."""

import asyncio
import contextlib
import json
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headgate.cli import calls
from headgate.cli.remote.client import Master
from headgate.cli.up import first, upstreams
from headgate.cli.up.children import Child, UpError, start, when_ended

# A program that ended is told at once; a small or busy host only needs more time.
_START_S: Final = 120.0
_MARK: Final = "set-up"
_OK: Final = 200


@dataclass(frozen=True, slots=True)
class Places:
    """The addresses at which everything listens, and the folder that keeps the data."""

    folder: Path
    proxy: str
    listen: str
    agents: str
    admin: str
    upstream_port: int

    @property
    def node(self) -> Path:
        """The agent's state directory."""
        return self.folder / "node"

    @property
    def upstreams(self) -> dict[str, int]:
        """The demo upstreams and their ports."""
        return {name: self.upstream_port + at for at, name in enumerate(upstreams.NAMES)}

    @property
    def url(self) -> str:
        """The master's address for people."""
        return f"https://{self.listen}"

    @property
    def master_url(self) -> str:
        """The master's address for the agent."""
        return f"{self.url}?grpc={self.agents.rpartition(':')[2]}"


async def run(places: Places) -> int:
    """Runs until interrupted; returns the exit code. Raises UpError and MasterError."""
    places.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    stop = asyncio.Event()
    when_ended(stop.set)
    async with contextlib.AsyncExitStack() as stack:
        try:
            servers = await upstreams.serve(places.upstreams.values())
        except OSError as error:
            raise UpError(f"a demo upstream cannot listen: {error}; try --upstream-port") from error
        for server in servers:
            stack.callback(server.close)
        master = await _master(places)
        stack.push_async_callback(master.stop, signal.SIGTERM)
        await master.until(
            lambda: '"the master serves"' in master.said(), "the start of the master", _START_S
        )
        link, opened, token = "", None, ""
        if not (places.folder / _MARK).exists():
            said = _link_of(places, master)
            link, opened, token = await asyncio.to_thread(_set_up, places, said)
        agent = await _agent(places, token)
        stack.push_async_callback(agent.stop, signal.SIGTERM, signal.SIGINT)
        await _serving(places, agent, opened)
        (places.folder / _MARK).touch()
        _tell(_invitation(places, link))
        ended = [asyncio.create_task(one.process.wait()) for one in (master, agent)]
        waiting = asyncio.create_task(stop.wait())
        await asyncio.wait({waiting, *ended}, return_when=asyncio.FIRST_COMPLETED)
        for task in (waiting, *ended):
            task.cancel()
    return 0 if stop.is_set() else 1


async def _master(places: Places) -> Child:
    arguments = ["master", "--data", str(places.folder / "master"), "--fleet-tls"]
    arguments += ["--listen", places.listen, "--agents-listen", places.agents]
    # A database of somebody else must not become the demo's.
    env = {"DATABASE_URL": ""}
    return await start("master", places.folder / "master.log", arguments, env)


def _link_of(places: Places, master: Child) -> str:
    """Returns the token of the master's set-up link. Raises UpError if it has a user already."""
    token = first.setup_token(master.said())
    if not token:
        raise UpError(
            f"an earlier first start did not finish; remove {places.folder}, and try again"
        )
    return token


def _set_up(places: Places, setup_token: str) -> tuple[str, Master, str]:
    """Returns the link for the administrator, how to ask the master, and a join token."""
    authority = places.folder / "ca.pem"
    first.keep_authority(places.url, authority)
    opened = first.set_up(places.url, setup_token, authority)
    token = first.write_config(opened.master, places.proxy, places.upstreams)
    return opened.link, opened.master, token


async def _agent(places: Places, token: str) -> Child:
    arguments = ["agent", "--master-url", places.master_url, "--engine", "native"]
    arguments += ["--state-dir", str(places.node), "--admin", places.admin, "--log-level", "warn"]
    env = {"HEADGATE_AGENT_TOKEN": token} if token else {}
    return await start("agent", places.folder / "agent.log", arguments, env)


async def _serving(places: Places, agent: Child, master: Master | None) -> None:
    """Waits until the node serves and its agent is connected; a first one comes before there is
    anything to serve.
    """

    def ready() -> bool:
        try:
            return calls.call(places.node, "GET", "/ready").status == _OK
        except calls.NoNodeError:
            return False

    def joined() -> bool:
        try:
            status = json.loads(calls.call(places.node, "GET", "/status").body)
        except calls.NoNodeError:
            return False
        return bool(status["master"]["state"] == "live")

    if master is not None:
        await agent.until(lambda: _is_connected(master), "the connection of the agent", _START_S)
        await asyncio.to_thread(first.publish, master)
    await agent.until(ready, "the first request of the node", _START_S)
    # Of an earlier start a node serves what it keeps before it has a master.
    await agent.until(joined, "the connection of the agent", _START_S)


def _is_connected(master: Master) -> bool:
    agents = master.all("/workspaces/default/agents")
    return any(one.get("state") == "connected" for one in agents)


def _invitation(places: Places, link: str) -> str:
    first_time = (
        f"""
This link makes you its administrator, once:
  {link}
"""
        if link
        else ""
    )
    program = _program()
    return f"""
A fleet of one node serves on http://{places.proxy} (Ctrl-C ends it).
Its master is {places.url}; its CA is in {places.folder / "ca.pem"}.
{first_time}
Things to try, in another terminal:

  curl -i http://{places.proxy}/
  {program} agents --context {first.CONTEXT}
  {program} explain GET http://{places.proxy}/ --state-dir {places.node}
  {program} export config/ --context {first.CONTEXT}

"""


def _program() -> str:
    """Returns how this program was called, as the same directory calls it."""
    called = sys.argv[0] if "/" in sys.argv[0] else ""
    if Path(called).name != "headgate":
        return "headgate"
    with contextlib.suppress(ValueError):
        return str(Path(called).relative_to(Path.cwd()))
    return called


def _tell(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
