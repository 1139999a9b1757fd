"""Searches that agents answer, never answer, or answer with too much."""

from collections.abc import Callable
from functools import partial
from typing import cast

import loops
import pytest

from headgate.fleet import master_events as ev
from headgate.fleet.searches import LOGS, MOST_TEXT_BYTES, LogLine, LogLines, LogSearch
from headgate.master.fleet.live import LiveSession
from headgate.master.fleet.searching import Asking, SearchError

Answer = Callable[[Asking, LogSearch], None]


class Session:
    """An agent that answers at once in this way."""

    def __init__(self, answer: Answer, takes: str = LOGS) -> None:
        self.answer = answer
        self.word = takes
        self.asking: Asking | None = None

    def takes(self, word: str) -> bool:
        return word == self.word

    def handle(self, event: ev.Event) -> None:
        assert isinstance(event, ev.Asked)
        assert self.asking is not None
        self.answer(self.asking, event.search)


def ask(answer: Answer, takes: str = LOGS, agent: str = "a", patience_s: float = 60.0) -> LogLines:
    """What somebody who searches is answered."""

    async def scenario() -> LogLines:
        session = Session(answer, takes)
        asking = Asking({"a": cast("LiveSession", session)}.get)
        session.asking = asking
        try:
            return await asking.search(agent, LogSearch(0), bytes, patience_s)
        finally:
            assert not asking._waiting

    return loops.run(scenario())


def test_parts_become_one_answer_and_those_of_others_do_not_count() -> None:
    def answer(asking: Asking, search: LogSearch) -> None:
        asking.answered("b", LogLines(search.number, (LogLine(1, "of another agent"),)))
        asking.answered("a", LogLines(search.number + 1, (LogLine(1, "of another search"),)))
        asking.answered("a", LogLines(search.number, (LogLine(2, "x"),), is_last=False))
        asking.answered("a", LogLines(search.number, (LogLine(1, "y"),), read_bytes=9))
        asking.answered("a", LogLines(search.number, (LogLine(1, "too late"),)))

    found = ask(answer)
    assert [one.text for one in found.lines] == ["x", "y"]
    assert found.read_bytes == 9


@pytest.mark.parametrize("size", [0, MOST_TEXT_BYTES])
def test_an_agent_that_never_ends_is_cut_off(size: int) -> None:
    def answer(asking: Asking, search: LogSearch) -> None:
        for _ in range(20):
            part = LogLines(search.number, (LogLine(1, "x" * size),), is_last=False)
            asking.answered("a", part)

    assert ask(answer).cut == "it answers more than it was asked for"


def test_why_an_agent_was_not_searched_is_said() -> None:
    def gone(asking: Asking, _search: LogSearch) -> None:
        asking.gone("a")

    def failed(asking: Asking, search: LogSearch) -> None:
        asking.answered("a", LogLines(search.number, error="there is no log"))

    def nothing(_asking: Asking, _search: LogSearch) -> None:
        pass

    for code, text, work in (
        ("away", "no session", partial(ask, nothing, agent="b")),
        ("older", "upgrade the agent", partial(ask, nothing, takes="heal")),
        ("silent", "its session ended", partial(ask, gone)),
        ("silent", "did not answer within 0.01 s", partial(ask, nothing, patience_s=0.01)),
        ("failed", "there is no log", partial(ask, failed)),
    ):
        with pytest.raises(SearchError, match=text) as error:
            work()
        assert error.value.code == code
