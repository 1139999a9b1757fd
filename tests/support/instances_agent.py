"""An agent with several instances as a process, its master, and what each of them says of them."""

import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from foreign_nginx import ForeignNginx
from master_operator import Operator, W
from master_process import MasterProcess
from ports import free_port
from running_node import RunningNode
from waiting import DEADLINE_S, until

NODE = """
[node]
engine = "nginx"
drain = { delay = "50ms", idle_grace = "100ms", deadline = "5s" }
"""
LONG_S = 120.0
"""Asking an nginx what it can do takes some seconds on a busy machine."""


def own(name: str, port: int, more: str = "") -> str:
    """An instance whose nginx the agent starts, with the listener `web` at this port."""
    return f"""
[node.instances.{name}]
listener_addresses = {{ web = "127.0.0.1:{port}" }}
{more}
"""


def watched(name: str, nginx: ForeignNginx, mode: str = "observe") -> str:
    """An instance of an nginx of others, which it watches or is a guest of."""
    return f"""
[node.instances.{name}.nginx]
mode = "{mode}"
start = "external"
conf = "{nginx.conf}"
pid = "{nginx.pid}"
binary = "{nginx.binary}"
"""


class Office:
    """A master with a fleet `edge`, and its person."""

    def __init__(self, running: MasterProcess) -> None:
        self.person = Operator(running)
        rest = self.person.base.rpartition(":")[2]
        self.url = f"grpcs://127.0.0.1:{running.agents_port()}?rest={rest}"
        self.person.ask(f"{W}/fleets", {"name": "edge"})

    def token(self, uses: int) -> str:
        """A join token."""
        made = self.person.ask(f"{W}/join-tokens", {"fleet": "edge", "uses": uses})
        return str(made["token"])

    def publish(self, upstream: str) -> int:
        """Publishes a config with the listener `web`; returns the revision's number."""
        for path, spec in (
            ("listeners/web", {"address": f"127.0.0.1:{free_port()}", "default": True}),
            ("routes/all", {"upstream": "app"}),
            ("upstreams/app", {"endpoints": [upstream]}),
        ):
            self.person.ask(f"{W}/resources/{path}", {"spec": spec}, "PUT")
        return int(self.person.ask(f"{W}/revisions", {"fleet": "edge"})["number"])

    def agents(self) -> dict[str, dict[str, Any]]:
        """Every agent, by the label that says which instance it is."""
        items = self.person.ask(f"{W}/agents")["items"]
        return {str(one["labels"].get("instance", "")): dict(one) for one in items}

    def until_serving(self, revision: int, *names: str) -> None:
        """Waits until these instances proved to serve a revision."""

        def serve() -> bool:
            found = self.agents()
            return all(
                found.get(name, {}).get("revisions", {}).get("serving") == revision
                for name in names
            )

        until(serve, f"revision {revision} of {names}", deadline_s=LONG_S)


class InstancesAgent(RunningNode):
    """`headgate agent` with several instances."""

    reads_a_file = False

    def __init__(self, folder: Path, url: str, token: str | None, *tables: str, **env: str) -> None:
        """`tables`: of the instances."""
        self._url = url
        if token is not None:
            env["HEADGATE_AGENT_TOKEN"] = token
        super().__init__(folder, NODE + "".join(tables), **env)

    def _start(self, command: list[str], *arguments: str, **env: str) -> "subprocess.Popen[bytes]":
        del command
        own = ["agent", "--master-url", self._url, "--config", str(self.config)]
        return super()._start(own, *arguments, **env)

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(DEADLINE_S)
        for place in (self.state / "instances").glob("*"):
            self.state = place
            self._end_nginx()
        super().__exit__()

    def place(self, name: str) -> Path:
        """The state directory of an instance."""
        return self.state / "instances" / name

    def every(self) -> dict[str, Any]:
        """`headgate status` of all, as JSON; empty while no agent runs."""
        said = self.command("status", "--output", "json").stdout
        return dict(json.loads(said)["instances"]) if said else {}

    def one(self, name: str) -> dict[str, Any]:
        """`headgate status` of an instance, as JSON; empty while it does not answer."""
        said = self.command("status", "--instance", name, "--output", "json").stdout
        return dict(json.loads(said)) if said else {}

    def pids(self) -> dict[str, int]:
        """The supervisor of each instance that runs."""
        return {name: one["pid"] for name, one in self.every().items() if one["pid"]}

    def until_state(self, name: str, state: str) -> dict[str, Any]:
        """Waits until an instance is in a state; returns what is said of it."""
        until(
            lambda: self.every().get(name, {}).get("state") == state,
            f"{name} is {state}",
            deadline_s=LONG_S,
        )
        return dict(self.every()[name])

    def until_instances_ready(self, *names: str) -> None:
        """Waits until these instances are ready."""

        def ready() -> bool:
            found = self.every()
            return all((found.get(name, {}).get("node") or {}).get("ready") for name in names)

        until(ready, f"{names} are ready", deadline_s=LONG_S)

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the agent's process."""
        os.kill(self.process.pid, number)

    def end(self, within_s: float = 45.0) -> int:
        """Ends it as systemd does; returns its exit code."""
        self.process.terminate()
        return self.process.wait(within_s)
