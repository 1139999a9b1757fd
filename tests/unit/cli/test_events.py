"""`headgate events`: which events it asks for, and how it goes on when the node hangs up."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from headgate.cli import calls
from headgate.cli import events as module
from headgate.cli.events import events
from headgate.node.events import Event

HERE = Path("/none")


def event(seq: int) -> Event:
    return Event(seq, 0, "info", "kind", "message")


class Node:
    """A node whose answers end as the test has said; its time goes on by 1 s a look."""

    def __init__(self) -> None:
        self.answers: Iterator[list[Event] | calls.NoNodeError] = iter(())
        self.asked: list[tuple[int, bool]] = []
        self.is_there = True
        self.now = 100.0

    def stream(self, _dir: Path, after: int, *, follow: bool) -> Iterator[Event]:
        self.asked.append((after, follow))
        answer = next(self.answers)
        if isinstance(answer, calls.NoNodeError):
            raise answer
        yield from answer

    def supervisor(self, _dir: Path, op: str) -> dict[str, object]:
        assert op == "status"
        if not self.is_there:
            raise calls.NoNodeError("gone")
        return {}

    def monotonic(self) -> float:
        return self.now

    def sleep(self, _seconds: float) -> None:
        self.now += 1.0


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Node:
    one = Node()
    monkeypatch.setattr(module, "_stream", one.stream)
    monkeypatch.setattr(module, "time", one)
    monkeypatch.setattr(calls, "supervisor", one.supervisor)
    return one


def away() -> Iterator[calls.NoNodeError]:
    while True:
        yield calls.NoNodeError("away")


def test_without_following_it_ends_with_what_is_kept(node: Node) -> None:
    node.answers = iter(([event(8), event(9)],))
    assert list(events(HERE, 7, follow=False)) == [event(8), event(9)]
    assert node.asked == [(7, False)]
    node.answers = away()
    with pytest.raises(calls.NoNodeError, match="away"):
        list(events(HERE, 7, follow=False))


def test_following_goes_on_after_the_last_event_that_came(node: Node) -> None:
    node.answers = iter(([event(8)], calls.NoNodeError("away"), [], [event(9)]))
    found = events(HERE, 7, follow=True)
    assert [next(found), next(found)] == [event(8), event(9)]
    assert node.asked == [(7, True), (8, True), (8, True), (8, True)]


def test_a_control_process_that_stays_away_is_waited_for_20_s_anew_each_time(node: Node) -> None:
    def some() -> Iterator[list[Event] | calls.NoNodeError]:
        for _ in range(15):
            yield calls.NoNodeError("away")
        yield [event(8)]
        yield from away()

    node.answers = some()
    found = events(HERE, 7, follow=True)
    assert next(found) == event(8)
    assert node.now == 115.0
    with pytest.raises(calls.NoNodeError, match="away"):
        next(found)
    assert node.now == 137.0


def test_a_node_that_has_ended_is_not_waited_for(node: Node) -> None:
    node.answers, node.is_there = away(), False
    with pytest.raises(calls.NoNodeError, match="gone"):
        list(events(HERE, 0, follow=True))
    assert node.now == 100.0
