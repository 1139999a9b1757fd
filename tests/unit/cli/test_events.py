"""`headgate events`: which events it asks for, and how it goes on when the node hangs up."""

import io
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from headgate.cli import calls
from headgate.cli import events as module
from headgate.cli.events import events, text
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


class Connection:
    """A connection to the admin API that answers as the test says."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        self._body = io.BytesIO(body)
        self.asked: list[tuple[str, str]] = []
        self.limits: list[float | None] = []
        self.sock: Connection | None = self
        self.is_closed = False

    def request(self, method: str, path: str) -> None:
        self.asked.append((method, path))

    def getresponse(self) -> "Connection":
        return self

    def settimeout(self, limit: float | None) -> None:
        self.limits.append(limit)

    def read(self) -> bytes:
        return self._body.read()

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def close(self) -> None:
        self.is_closed = True


def answering(monkeypatch: pytest.MonkeyPatch, status: int, body: bytes) -> Connection:
    one = Connection(status, body)
    monkeypatch.setattr(calls, "connection", lambda place: one if place == HERE else None)
    monkeypatch.setattr(calls, "supervisor", lambda *_: {})
    return one


def test_events_are_lines_of_the_answer_and_may_be_far_apart_only_if_followed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    body = b"".join(msgspec.json.encode(event(seq)) + b"\n" for seq in (8, 9))
    asked = answering(monkeypatch, 200, body)
    assert list(events(HERE, 7, follow=False)) == [event(8), event(9)]
    assert asked.asked == [("GET", "/events?after=7&follow=false")]
    assert (asked.limits, asked.is_closed) == ([], True)
    asked = answering(monkeypatch, 200, body)
    followed = events(HERE, 7, follow=True)
    assert [next(followed), next(followed)] == [event(8), event(9)]
    assert asked.asked == [("GET", "/events?after=7&follow=true")]
    assert asked.limits == [None]
    followed.close()  # type: ignore[attr-defined]
    asked = answering(monkeypatch, 200, body)
    asked.sock = None  # the whole answer is there already
    assert next(events(HERE, 7, follow=True)) == event(8)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (404, b'{"error": "no such page"}', "^no such page$"),
        (500, b" oh\n", "^oh$"),
        (200, b"nonsense\n", "^the node at /none does not answer: "),
    ],
)
def test_an_answer_without_events_is_no_node(
    status: int, body: bytes, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = answering(monkeypatch, status, body)
    with pytest.raises(calls.NoNodeError, match=said):
        list(events(HERE, 0, follow=False))
    assert asked.is_closed


def test_a_line_has_the_time_to_the_millisecond() -> None:
    one = Event(1, 1_700_000_000_042, "warn", "breaker", "it opens")
    assert text(one) == "2023-11-14 22:13:20.042Z warn  breaker: it opens\n"
