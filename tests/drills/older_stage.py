"""The stage of the drill of versions: a master, an agent and upstreams, each end of any version."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fault_upgrade import environment, install
from fleet_node import Node, serving
from master_operator import Operator, W, put
from master_process import PASSWORD, MasterProcess
from ports import free_port
from running_node import RunningNode, Upstream, get
from waiting import until

PATIENCE_S = 120.0
UPGRADE_S = 300.0
SERVES = "the master serves"
NEWER = {"rate_limit": {"rate": "1000/s", "burst": 50, "delay_above": 10}}
"""A middleware with a setting that versions before 2026-11-27 do not know."""
NEWER_PATH = "/newer"


def program_of(home: Path, wheel: Path) -> tuple[str, ...]:
    """The program of an environment of its own, into which a wheel is installed."""
    install(environment(home), wheel)
    # A path of ours would come before what is installed there.
    return ("env", "--unset=PYTHONPATH", str(home / "bin" / "headgate"))


def master_of(program: tuple[str, ...]) -> type[MasterProcess]:
    """A master that runs that program."""
    return type("OtherMaster", (MasterProcess,), {"program": program})


class AnyNode(Node):
    """An agent that runs any program, with an upgrade command if its folder has one."""

    def __init__(
        self, program: tuple[str, ...], folder: Path, url: str, token: str, engine: str
    ) -> None:
        """`program`: the command that headgate is."""
        self.program = program
        self._command = folder / "install-headgate"
        super().__init__(folder, url, token, engine)

    def _start(self, command: list[str], *arguments: str, **env: str) -> Any:
        more = {"HEADGATE_UPGRADE_COMMAND": str(self._command)} if self._command.exists() else {}
        return super()._start(command, *arguments, **env, **more)


@dataclass
class Site:
    """A master, its only agent, and who asks both."""

    folder: Path
    options: list[str]
    master: MasterProcess
    person: Operator
    node: RunningNode
    upstreams: dict[str, Upstream]
    port: int = field(default_factory=free_port)
    rollout: str = ""
    has_newer: bool = False

    def publish(self) -> int:
        """Publishes the resources as they are; the revision's number."""
        return int(self.person.ask(f"{W}/revisions", {"fleet": "edge"})["number"])

    def plain(self, name: str) -> str:
        """Publishes a plain config for the upstream of that name, and waits until it is served."""
        put(self.person, self.port, self.upstreams[name].address)
        if self.has_newer:
            for path in ("routes/newer", "middlewares/few"):
                self.person.ask(f"{W}/resources/{path}", method="DELETE")
            self.has_newer = False
        number = self.publish()
        self.until_serving(number)
        self.until_answers(name)
        return f"revision {number} is {self.person.agent()['phase']} by {self.program()}"

    def newer(self) -> int:
        """Publishes a route with a setting that only this checkout knows; the revision's number."""
        where = {"match": {"path": {"prefix": NEWER_PATH}}}
        route = {**where, "upstream": "app", "middlewares": ["few"]}
        for path, spec in (("middlewares/few", NEWER), ("routes/newer", route)):
            self.person.ask(f"{W}/resources/{path}", {"spec": spec}, "PUT")
        self.has_newer = True
        return self.publish()

    def until_serving(self, number: int) -> None:
        """Waits until the agent reports, without an error, that it serves a revision."""

        def does() -> bool:
            return serving(self.person) == number and self.person.agent()["error"] is None

        until(does, f"revision {number} serving", deadline_s=PATIENCE_S)

    def until_answers(self, name: str) -> None:
        """Waits until the node answers with that upstream's name."""
        until(lambda: self.answer() == name, f"answers {name}", deadline_s=PATIENCE_S)

    def answer(self, path: str = "/") -> str:
        """What the node answers now: a body, or another status than 200; empty when it does not."""
        try:
            status, body = get(self.port, path)
        except OSError:
            return ""
        return body.decode() if status == 200 else f"{status}"

    def upgrade(self, program: str) -> None:
        """Upgrades the agent by a rollout."""
        wanted = {"fleet": "edge", "program": program, "waves": ["rest"], "soak_s": 1}
        wanted |= {"gates": {"min_requests": 0}}
        self.rollout = str(self.person.ask(f"{W}/rollouts", wanted)["id"])
        self._until_ended("succeeded")
        assert self.program() == program, self.program()

    def undo(self, program: str) -> None:
        """Undoes the upgrade; `program` is what the agent runs then."""
        self.person.ask(f"{W}/rollouts/{self.rollout}/orders", {"verb": "undo"}, "POST")
        self._until_ended("undone")
        assert self.program() == program, self.program()

    def _until_ended(self, status: str) -> None:
        found: dict[str, Any] = {}

        def has_ended() -> bool:
            found.update(self.person.ask(f"{W}/rollouts/{self.rollout}"))
            return found["status"] in {"succeeded", "undone", "aborted"}

        def is_there() -> bool:
            return has_ended() and (found["status"] == status or status == "succeeded")

        until(is_there, f"a rollout {status}", deadline_s=UPGRADE_S)
        assert found["status"] == status, f"{found['status']}: {found['reason']}"

    def program(self) -> str:
        """The version that the agent told the master."""
        return str(self.person.agent()["facts"]["program"])

    def replace_master(self, master: type[MasterProcess]) -> None:
        """Ends the master, and starts another one on its data at its ports."""
        assert self.master.stop() == 0
        self.master = master(self.folder / "m", *self.options, says=SERVES)
        assert SERVES in self.master.text(), self.master.text()
        self.person.token = ""
        body = {"name": "ann", "password": PASSWORD}
        self.person.token = str(self.person.ask("/api/v1/auth/login", body)["access_token"])
        until(lambda: self.person.agent()["state"] == "connected", "it is connected")

    def refusal(self, program: tuple[str, ...]) -> str:
        """What a master of that program says to these data, without a traceback, as it ends."""
        assert self.master.stop() == 0
        command = [*program, "master", "--data", str(self.folder / "m" / "data"), *self.options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
        said = (done.stdout + done.stderr).strip()
        assert done.returncode != 0 and "Traceback" not in said, said
        return f"exit code {done.returncode}, {said.splitlines()[-1]}"


@contextmanager
def site(
    folder: Path, master: type[MasterProcess], program: tuple[str, ...], engine: str
) -> Iterator[Site]:
    """A master with a fleet, and an agent that runs that program."""
    rest, grpc = free_port(), free_port()
    options = ["--listen", f"127.0.0.1:{rest}", "--fleet-tls"]
    options += ["--agents-listen", f"127.0.0.1:{grpc}"]
    (folder / "m").mkdir()
    with ExitStack() as ends:
        running = master(folder / "m", *options)
        ends.callback(_end, running)
        person = Operator(running)
        person.ask(f"{W}/fleets", {"name": "edge"})
        token = person.ask(f"{W}/join-tokens", {"fleet": "edge"})["token"]
        url = f"grpcs://127.0.0.1:{grpc}?rest={rest}"
        node = ends.enter_context(AnyNode(program, folder, url, token, engine))
        upstreams = {name: Upstream(name) for name in ("one", "two")}
        for one in upstreams.values():
            ends.callback(one.close)
        found = Site(folder, options, running, person, node, upstreams)
        ends.callback(lambda: _end(found.master))
        yield found


def _end(running: MasterProcess) -> None:
    if running.process.poll() is None:
        running.process.kill()
        running.process.wait()
