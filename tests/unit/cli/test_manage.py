"""Commands that talk to a running node: how they wait for its control process, what they say."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from headgate.cli import calls, manage
from headgate.node.results import Outcome, ReloadResult

HERE = Path("/none")
THERE: dict[str, object] = {"control_is_connected": True}


class Node:
    """A node that answers in turn as the test has said; its time goes on by 1 s a look."""

    def __init__(self) -> None:
        self.answers: Iterator[calls.Answer | calls.NoNodeError] = iter(())
        self.supervisor: Iterator[dict[str, object]] = iter(())
        self.asked: list[tuple[str, ...]] = []
        self.now = 100.0

    def call(self, _dir: Path, method: str, path: str, body: bytes | None = None) -> calls.Answer:
        self.asked.append((method, path, *([body.decode()] if body is not None else [])))
        if isinstance(answer := next(self.answers), calls.NoNodeError):
            raise answer
        return answer

    def ask(self, _dir: Path, op: str) -> dict[str, object]:
        self.asked.append((op,))
        return next(self.supervisor)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, _seconds: float) -> None:
        self.now += 1.0


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Node:
    one = Node()
    monkeypatch.setattr(calls, "call", one.call)
    monkeypatch.setattr(calls, "supervisor", one.ask)
    monkeypatch.setattr(manage, "time", one)
    return one


def away() -> Iterator[calls.NoNodeError]:
    while True:
        yield calls.NoNodeError("away")


def always(**answer: object) -> Iterator[dict[str, object]]:
    while True:
        yield answer


def in_turn(*answers: dict[str, object]) -> Iterator[dict[str, object]]:
    return iter(answers)


def test_a_reload_waits_for_the_next_control_process(node: Node) -> None:
    done = ReloadResult(outcome=Outcome.APPLIED)
    body = msgspec.json.encode(done)
    node.answers = iter((calls.NoNodeError("away"), calls.Answer(200, body)))
    node.supervisor = always()
    assert manage.reload(HERE) == done
    assert node.asked == [("POST", "/reload"), ("status",), ("POST", "/reload")]


def test_a_control_process_that_stays_away_is_waited_for_20_s(node: Node) -> None:
    node.answers, node.supervisor = away(), always()
    with pytest.raises(calls.NoNodeError):
        manage.reload(HERE)
    assert node.now == 120.0


def test_an_answer_that_is_no_result_is_a_failure(node: Node) -> None:
    node.answers = iter((calls.Answer(503, b" later\n"),))
    result = manage.reload(HERE)
    assert (result.outcome, result.error) == (Outcome.FAILED, "HTTP 503: later")


def test_a_drain_waits_only_if_asked_and_only_once_it_began(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[Path] = []
    monkeypatch.setattr(calls, "wait_until_gone", waited.append)
    node.supervisor = always(ok=True)
    assert manage.drain(HERE, wait=False) is None
    assert waited == []
    assert manage.drain(HERE, wait=True) is None
    assert waited == [HERE]
    node.supervisor = in_turn({"ok": False, "error": "busy"}, {})
    assert manage.drain(HERE, wait=True) == "busy"
    assert manage.drain(HERE, wait=True) == "refused"
    assert waited == [HERE]


def test_an_order_for_an_endpoint_is_in_force_or_says_why_not(node: Node) -> None:
    node.answers = iter(
        (
            calls.Answer(200, b"{}"),
            calls.Answer(404, b'{"error": "no such endpoint"}'),
            calls.Answer(500, b"oh\n"),
        )
    )
    order = ("app", "127.0.0.1:1", "drain")
    assert manage.order(HERE, *order) is None
    assert manage.order(HERE, *order) == "no such endpoint"
    assert manage.order(HERE, *order) == "HTTP 500: oh"
    body = '{"upstream":"app","endpoint":"127.0.0.1:1","state":"drain"}'
    assert node.asked[0] == ("POST", "/endpoint", body)


def test_an_upgrade_ends_when_the_next_control_process_is_there(node: Node) -> None:
    node.supervisor = in_turn({"ok": True}, {}, {"control_is_connected": False}, THERE)
    assert manage.upgrade(HERE) is None
    assert node.asked == [("upgrade",), ("status",), ("status",), ("status",)]


def test_an_upgrade_is_refused_or_given_up_after_60_s(node: Node) -> None:
    node.supervisor = in_turn({"error": "draining"}, {})
    assert manage.upgrade(HERE) == "draining"
    assert manage.upgrade(HERE) == "refused"
    node.supervisor = always(ok=True)
    assert "does not start; see the node's log" in str(manage.upgrade(HERE))
    assert node.now == 160.0


def test_a_status_without_a_control_process_says_what_is_served(node: Node) -> None:
    node.answers, node.supervisor = away(), always(listening=["127.0.0.1:80"])
    with pytest.raises(calls.NoNodeError, match="is away; the supervisor says it serves"):
        manage.status(HERE)
    node.answers = iter((calls.Answer(200, b"nonsense"),))
    with pytest.raises(calls.NoNodeError, match="answers nonsense"):
        manage.status(HERE)
