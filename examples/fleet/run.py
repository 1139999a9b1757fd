"""Shows a fleet on this machine: a canary rollout that goes well, and one that is undone by itself.

    .venv/bin/python examples/fleet/run.py

It starts a master, two nodes that drive a real nginx and one with our own engine, each with its
agent, at free ports and in a temporary directory. It takes about two minutes, needs nginx and no
root, and leaves nothing behind. The exit code is 0 if every node serves the older revision again.
"""

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, cast

from around import Clients, asked, free_ports, upstream
from nodes import FLEET, Node, W, check_nginx, end_agent, link_of, start_agent, start_master
from timeline import Timeline

from headgate.cli.remote.client import Json, Master
from headgate.cli.remote.errors import MasterError
from headgate.cli.remote.waiting import ENDED
from headgate.cli.up import first
from headgate.cli.up.children import Child, UpError

NODES: Final = {"nginx-1": "nginx", "nginx-2": "nginx", "native-1": "native"}
CANARY: Final = "nginx-1"
_WAVES: Final = ("label:tier=canary", "rest")
_SOAK_S: Final = 20.0
# One machine runs everything here: how long an answer takes says nothing about a config, and how
# many requests a node gets in a few seconds says little.
_GATES: Final = {"min_requests": 20, "latency_over_control_ms": 10_000, "traffic_of_control": 0.2}
_LOOK_S: Final = 0.2
_WAIT_S: Final = 400.0


class Fleet:
    """The fleet as its master knows it."""

    def __init__(self, master: Master, timeline: Timeline) -> None:
        self._master = master
        self._timeline = timeline

    async def make(self) -> dict[str, str]:
        """Makes the fleet, and returns a join token for each node."""
        await self._ask("POST", f"{W}/fleets", {"name": FLEET})
        tokens = {}
        for name in NODES:
            tier = "canary" if name == CANARY else "stable"
            body = {"fleet": FLEET, "labels": {"node": name, "tier": tier}}
            tokens[name] = str((await self._ask("POST", f"{W}/join-tokens", body))["token"])
        return tokens

    async def publish(self, port: int, *, is_served: bool = False) -> int:
        """Publishes a config that forwards to the upstream at this port; returns its revision."""
        number = int(self._timeline.revision or 0) + 1
        header = {"response_headers": {"set": {"x-revision": str(number)}}}
        for path, spec in (
            # The address of a machine of its own; here each node has another one.
            ("listeners/web", {"address": "0.0.0.0:80", "default": True}),
            ("upstreams/app", {"endpoints": [f"127.0.0.1:{port}"]}),
            ("routes/all", {"upstream": "app", "middlewares": [header]}),
        ):
            await self._ask("PUT", f"{W}/resources/{path}", {"spec": spec})
        body = {"fleet": FLEET, "is_served": is_served}
        made = await self._ask("POST", f"{W}/revisions", body)
        self._timeline.revision = str(made["number"])
        return int(str(made["number"]))

    async def until_connected(self, agents: Mapping[str, Child]) -> None:
        """Waits until every node has enrolled and is connected."""
        async with asyncio.timeout(_WAIT_S):
            while len(await self._agents("connected")) < len(NODES):
                _check(agents)
                await asyncio.sleep(_LOOK_S)

    async def until_serving(self, revision: int, agents: Mapping[str, Child]) -> None:
        """Waits until every node has proven that it serves a revision."""
        async with asyncio.timeout(_WAIT_S):
            while set(self._timeline.serving.values()) != {revision}:
                _check(agents)
                self._timeline.see(await self.serving())
                await asyncio.sleep(_LOOK_S)

    async def roll_out(self, revision: int, agents: Mapping[str, Child]) -> str:
        """Brings a revision to the fleet in waves, tells what happens, and returns the end."""
        body = {"fleet": FLEET, "revision": revision, "waves": list(_WAVES)}
        body |= {"soak_s": _SOAK_S, "gates": _GATES}
        made = await self._ask("POST", f"{W}/rollouts", body)
        told = 0
        async with asyncio.timeout(_WAIT_S):
            while True:
                _check(agents)
                serving = await self.serving()
                detail = await self._ask("GET", f"{W}/rollouts/{made['id']}")
                self._timeline.wave = _wave(detail)
                self._timeline.see(serving)
                entries = cast("Sequence[Json]", detail["timeline"])
                for entry in entries[told:]:
                    self._timeline.tell(self._named(str(entry["text"])))
                told = len(entries)
                if detail["status"] in ENDED:
                    self._timeline.wave = ""
                    return str(detail["status"])
                await asyncio.sleep(_LOOK_S)

    async def serving(self) -> dict[str, int | None]:
        """Returns the revision that each node is proven to serve."""
        return {
            node: cast("int | None", cast("Json", one["revisions"])["serving"])
            for node, one in (await self._agents()).items()
        }

    async def _agents(self, state: str = "") -> dict[str, Json]:
        found = await asyncio.to_thread(lambda: list(self._master.all(f"{W}/agents")))
        self._ids = {str(one["id"]): str(cast("Json", one["labels"])["node"]) for one in found}
        return {self._ids[str(one["id"])]: one for one in found if state in {"", one["state"]}}

    def _named(self, text: str) -> str:
        for agent, node in self._ids.items():
            text = text.replace(agent, node)
        return text

    async def _ask(self, method: str, path: str, body: object = None) -> Json:
        return await asyncio.to_thread(self._master.ask, method, path, body)


def _wave(detail: Json) -> str:
    """Returns which wave is under way, as `1/2`; empty before the first and after the last."""
    waves = cast("Sequence[Json]", detail["waves"])
    begun = sum(one["began_at"] is not None for one in waves)
    return f"{begun}/{len(waves)}" if begun else ""


def _check(agents: Mapping[str, Child]) -> None:
    for name, agent in agents.items():
        if agent.process.returncode is not None:
            raise UpError(f"{name} ended by itself:\n{agent.said()[-2000:]}")


async def show(folder: Path, stack: contextlib.AsyncExitStack) -> bool:
    """Runs the whole example; returns whether every node serves the older revision at its end."""
    good, bad, rest, grpc, *ports = free_ports(4 + len(NODES))
    for port, status in ((good, "200 OK"), (bad, "500 Internal Server Error")):
        stack.callback((await upstream(port, status)).close)
    nodes = {
        name: Node(name, engine, folder / name, port)
        for (name, engine), port in zip(NODES.items(), ports, strict=True)
    }
    timeline = Timeline(list(NODES))
    timeline.tell("a master starts")
    process = await start_master(folder, rest, grpc)
    stack.push_async_callback(process.stop, signal.SIGTERM)
    link = await link_of(process)
    url = f"https://127.0.0.1:{rest}"
    await asyncio.to_thread(first.keep_authority, url, folder / "ca.pem")
    opened = await asyncio.to_thread(first.set_up, url, link, folder / "ca.pem")
    fleet = Fleet(opened.master, timeline)
    tokens = await fleet.make()
    timeline.tell(f"the master serves; {', '.join(NODES)} start, each with a join token")
    agents: dict[str, Child] = {}
    for name, node in nodes.items():
        agents[name] = await start_agent(node, f"{url}?grpc={grpc}", tokens[name])
        stack.push_async_callback(end_agent, node, agents[name])
    await fleet.until_connected(agents)
    one = await fleet.publish(good, is_served=True)
    timeline.tell("every node has enrolled; the first revision goes to all of them")
    await fleet.until_serving(one, agents)
    clients = {name: Clients(node.port) for name, node in nodes.items()}
    for client in clients.values():
        stack.callback(asyncio.create_task(client.run()).cancel)
    two = await fleet.publish(good)
    timeline.tell(f"clients ask every node; a rollout begins, {CANARY} is the canary")
    if await fleet.roll_out(two, agents) != "succeeded":
        return False
    for client in clients.values():
        client.answers.clear()
    three = await fleet.publish(bad)
    timeline.tell("a revision that hurts: its upstream answers 500")
    ended = await fleet.roll_out(three, agents)
    await fleet.until_serving(two, agents)
    for name, client in clients.items():
        counts = ", ".join(f"{n} times {status}" for status, n in sorted(client.answers.items()))
        timeline.tell(f"clients of {name} got since the revision that hurts: {counts}")
    found = [await asked(node.port) for node in nodes.values()]
    is_undone = ended == "undone" and set(found) == {("200", str(two))}
    answered = ", ".join(f"{status} from revision {revision}" for status, revision in found)
    timeline.tell(f"a request to each node now: {answered}")
    return is_undone


async def run(folder: Path) -> str:
    """Runs the example and ends everything that it started; returns why it failed, if it did."""
    task = asyncio.current_task()
    for number in (signal.SIGINT, signal.SIGTERM):
        if task is not None:
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        async with contextlib.AsyncExitStack() as stack:
            is_undone = await show(folder, stack)
        return "" if is_undone else "the revision that hurts was not undone everywhere"
    except asyncio.CancelledError:
        return "interrupted"
    except (UpError, MasterError) as error:
        return str(error)
    except TimeoutError:
        return f"what comes next did not happen within {_WAIT_S:g} s"


def main() -> int:
    """Runs the example in a directory of its own; returns the exit code."""
    with tempfile.TemporaryDirectory(prefix="hg-") as path:
        folder = Path(path)
        folder.chmod(0o755)  # the workers of an nginx that root starts read their files here
        os.environ["HEADGATE_CONFIG_HOME"] = str(folder / "contexts")
        try:
            check_nginx()
        except UpError as error:
            reason, logs = str(error), ""
        else:
            reason = asyncio.run(run(folder))
            logs = "".join(_end_of(file) for file in sorted(folder.glob("**/*.log")))
        if reason:
            sys.stderr.write(f"fleet: {reason}\n{logs}")
    return 1 if reason else 0


def _end_of(log: Path) -> str:
    return f"--- {log.parent.name}/{log.name}\n{log.read_text(errors='replace')[-1000:]}\n"


if __name__ == "__main__":
    sys.exit(main())
