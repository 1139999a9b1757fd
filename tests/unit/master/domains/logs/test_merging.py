"""One answer of those of many agents: the newest lines first, within bounds, nothing unsaid."""

from hypothesis import given
from hypothesis import strategies as st

from headgate.fleet.searches import LogLine, LogLines
from headgate.master.domains.logs.merging import MOST_TEXT, Outcome, merged

_TIMES = st.lists(st.integers(0, 30), max_size=20)


@given(st.lists(_TIMES, max_size=5), st.integers(0, 30), st.integers(1, 40))
def test_the_newest_lines_of_all_agents_within_the_bounds(
    agents: list[list[int]], since_ms: int, limit: int
) -> None:
    outcomes = [
        Outcome(f"a{n}", f"node-{n}", LogLines(1, tuple(LogLine(at, "x") for at in times)))
        for n, times in enumerate(agents)
    ]
    lines, named = merged(outcomes, since_ms, limit)
    fitting = sorted((at for times in agents for at in times if at >= since_ms), reverse=True)
    assert [one.at for one in lines] == fitting[:limit]
    for outcome, one in zip(outcomes, named, strict=True):
        mine = [line for line in outcome.found.lines if line.at_ms >= since_ms]  # type: ignore[union-attr]
        assert one.lines == sum(line.agent == one.agent for line in lines)
        assert (one.state == "cut") == (one.lines < len(mine))
        assert bool(one.why) == (one.state == "cut")


def test_the_text_of_an_answer_is_bounded() -> None:
    half = LogLines(1, (LogLine(5, "x" * (MOST_TEXT // 2 + 1)), LogLine(4, "y")))
    outcomes = [Outcome("a", "one", half), Outcome("b", "two", half)]
    lines, named = merged(outcomes, 0, 100)
    assert [one.agent for one in lines] == ["a"]
    assert [(one.state, one.lines) for one in named] == [("cut", 1), ("cut", 0)]


def test_who_did_not_answer_is_named_with_the_reason() -> None:
    outcomes = [
        Outcome("a", "one", LogLines(1, cut="3 s passed")),
        Outcome("b", "two", state="away", why="no session"),
    ]
    _, named = merged(outcomes, 0, 100)
    assert [(one.state, one.why) for one in named] == [
        ("cut", "3 s passed"),
        ("away", "no session"),
    ]
