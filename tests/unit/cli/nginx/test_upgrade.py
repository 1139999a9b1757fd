"""`headgate nginx upgrade`: what it refuses, what it waits for, and how it says that it ended."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from headgate.cli.program import program
from headgate.engines.nginx import instance, upgrade
from headgate.engines.nginx.apply import here, statussocket
from headgate.engines.nginx.releases.lock import locked
from headgate.engines.nginx.upgrade import State, Times, Upgraded

Serves = Callable[[object], bool]


class Node:
    """A node whose nginx is replaced as the test says."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.place = SimpleNamespace(is_sidecar=False)
        self.result: Upgraded | Exception = Upgraded(State.DONE, "")
        self.times: list[Times] = []
        self.answer: SimpleNamespace | None = None
        self.served: list[bool] = []

    def recall(self, root: Path) -> SimpleNamespace:
        assert root == self.state / "nginx"
        return SimpleNamespace(place=self.place, settings=SimpleNamespace(status_socket="s.sock"))

    def ask(self, socket: str) -> SimpleNamespace | None:
        assert socket == "s.sock"
        return self.answer

    def upgrade(self, _: object, serves: Serves, times: Times) -> Upgraded:
        self.times.append(times)
        for pid in (None, 1, 8):
            self.answer = None if pid is None else SimpleNamespace(pid=pid)
            self.served.append(serves(object()))
        if isinstance(self.result, Exception):
            raise self.result
        return self.result

    def run(self, *words: str) -> tuple[int, str]:
        line = ["nginx", "upgrade", "--state-dir", str(self.state), *words]
        done = CliRunner().invoke(program(), line)
        return done.exit_code, done.output


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    one = Node(tmp_path)
    (tmp_path / "nginx").mkdir()
    its = SimpleNamespace(
        workers_of=lambda _: [SimpleNamespace(pid=8)], running_digest=lambda: "ab" * 32
    )
    monkeypatch.setattr(here, "recall", one.recall)
    monkeypatch.setattr(statussocket, "ask", one.ask)
    monkeypatch.setattr(instance, "NginxInstance", lambda _: its)
    monkeypatch.setattr(upgrade, "upgrade", one.upgrade)
    return one


def test_it_ends_well_once_a_worker_of_the_new_master_answers(node: Node) -> None:
    assert node.run() == (0, "runs the binary on disk (abababababab)\n")
    assert node.served == [False, False, True]
    code, said = node.run("--soak", "100ms", "--drain", "2s", "-o", "json")
    assert (code, json.loads(said)["state"]) == (0, State.DONE.value)
    assert [(one.soak, one.leave) for one in node.times] == [(5.0, 60.0), (0.1, 2.0)]


def test_what_did_not_end_well_is_a_failure_with_its_reason(node: Node) -> None:
    state = next(one for one in State if one is not State.DONE)
    node.result = Upgraded(state, "no answer")
    assert node.run() == (1, f"headgate: {state}: no answer\n")
    node.result = ProcessLookupError("no master runs")
    assert node.run() == (1, "headgate: no master runs\n")


def test_what_cannot_be_replaced_is_left_alone(node: Node) -> None:
    assert node.run("--soak", "soon")[0] == 2
    with locked(node.state / "nginx"):
        code, said = node.run()
    assert code == 1
    assert said.startswith("headgate: ")
    node.place.is_sidecar = True
    code, said = node.run()
    assert code == 1
    assert "deploy a new image of that container" in said
    assert node.times == []
