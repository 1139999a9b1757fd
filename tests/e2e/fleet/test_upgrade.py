"""A rollout upgrades a real agent while it serves: the program that runs is really another one, and
an upgrade that fails, or harms, is undone."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fleet_node import Node, serving
from fleet_programs import BROKEN, LYING, MISSING, NEW, OLD, Programs
from master_operator import Operator, W, put
from master_process import master
from running_node import Upstream, get
from waiting import until

# The pace of a client on a busy machine says nothing about a program.
_GATES = {"min_requests": 0, "traffic_of_control": 0.0, "latency_over_control_ms": 60_000}


class UpgradableNode(Node):
    """A node of a fleet with an upgrade command."""

    def __init__(self, folder: Path, url: str, token: str, programs: Programs) -> None:
        self._programs = programs
        super().__init__(folder, url, token)

    def _start(self, command: list[str], *arguments: str, **env: str) -> Any:
        return super()._start(command, *arguments, **env, **self._programs.environment)


class Client:
    """Asks again and again; `failed` has what was not answered."""

    def __init__(self, port: int) -> None:
        self.failed: list[str] = []
        self.answered = 0
        self._port = port
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def _ask(self) -> None:
        while not self._end.wait(0.01):
            try:
                status, body = get(self._port)[:2]
            except OSError as error:
                self.failed.append(repr(error))
                continue
            self.answered += 1
            if (status, body) != (200, b"one"):
                self.failed.append(f"{status} {body!r}")

    def __enter__(self) -> "Client":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()


class Stage:
    """A master, a node that serves, and who asks both."""

    def __init__(self, person: Operator, node: Node, programs: Programs, port: int) -> None:
        self.person, self.node, self.programs, self.port = person, node, programs, port

    def rollout(self, program: str, **more: object) -> str:
        wanted = {"fleet": "edge", "program": program, "waves": ["rest"], "soak_s": 1}
        gates = {"gates": _GATES}
        return str(self.person.ask(f"{W}/rollouts", wanted | gates | more)["id"])

    def ended(self, rollout: str, status: str) -> dict[str, Any]:
        """The rollout, once it has this status."""

        def shown() -> dict[str, Any]:
            return dict(self.person.ask(f"{W}/rollouts/{rollout}"))

        until(lambda: shown()["status"] == status, f"a rollout that is {status}", deadline_s=180)
        return shown()

    def runs(self) -> str:
        """The version that the agent says it runs."""
        return str(self.person.agent()["facts"]["program"])


@pytest.fixture
def stage(folder: Path, port: int, one: Upstream) -> Iterator[Stage]:
    with _stage(folder, port, one) as found:
        yield found


@contextmanager
def _stage(folder: Path, port: int, one: Upstream) -> Iterator[Stage]:
    (folder / "m").mkdir()
    programs = Programs(folder / "programs")
    with master(folder / "m", "--listen", "127.0.0.1:0", "--fleet-tls") as running:
        person = Operator(running)
        person.ask(f"{W}/fleets", {"name": "edge"})
        token = person.ask(f"{W}/join-tokens", {"fleet": "edge"})["token"]
        rest, grpc = person.base.rpartition(":")[2], running.agents_port()
        url = f"grpcs://127.0.0.1:{grpc}?rest={rest}"
        with UpgradableNode(folder, url, token, programs) as node:
            put(person, port, one.address)
            first = person.ask(f"{W}/revisions", {"fleet": "edge"})["number"]
            until(lambda: serving(person) == first, "the first revision is serving")
            yield Stage(person, node, programs, port)


@pytest.mark.timeout(600)
def test_an_upgrade_and_its_undo_lose_no_request(stage: Stage) -> None:
    assert (stage.runs(), stage.person.agent()["upgrade"]["is_possible"]) == (OLD, True)
    before = stage.node.status()
    with Client(stage.port) as client:
        rollout = stage.rollout(NEW)
        done = stage.ended(rollout, "succeeded")
        assert (stage.runs(), stage.programs.installed) == (NEW, NEW)
        assert [one["program"] for one in done["agents"]] == [NEW]
        after = stage.node.status()
        assert after["control"]["version"] == NEW  # type: ignore[index]
        assert _generation(after) > _generation(before), "the data plane is another one, too"
        stage.person.ask(f"{W}/rollouts/{rollout}/orders", {"verb": "undo"}, "POST")
        stage.ended(rollout, "undone")
        assert (stage.runs(), stage.programs.installed) == (OLD, OLD)
    assert client.answered > 0
    assert client.failed == []


def _generation(status: Any) -> int:
    return int(status["engine"]["native"]["generation"])


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("program", "why"),
    [
        (MISSING, f"failed with exit code 7: there is no headgate {MISSING} here"),
        (LYING, "the command ended well, but installed is 9.2.9"),
        (BROKEN, "the installed program cannot drive this node: it is broken"),
    ],
)
def test_an_upgrade_that_fails_changes_nothing_and_says_why(
    stage: Stage, program: str, why: str
) -> None:
    with Client(stage.port) as client:
        done = stage.ended(stage.rollout(program), "undone")
        assert why in done["reason"]
        assert (stage.runs(), stage.programs.installed) == (OLD, OLD)
        events = stage.person.ask(f"{W}/events")["items"]
        told = [one for one in events if one["type"] == "agents.upgrade-failed"]
        assert why in told[0]["detail"]["text"]
        stage.node.until_told(why)
    assert client.failed == []
