"""One answer of those of many agents, within bounds. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from headgate.fleet.searches import LogLine, LogLines
from headgate.master.domains.logs.types import FoundLine, SearchedAgent, State

MOST_TEXT: Final = 1 << 20
"""The text of all lines of an answer, in bytes."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a search at an agent; `found` is None unless it answered."""

    agent: str
    name: str
    found: LogLines | None = None
    state: State = "searched"
    why: str = ""


def merged(
    outcomes: Sequence[Outcome], since_ms: int, limit: int
) -> tuple[list[FoundLine], list[SearchedAgent]]:
    """Returns the newest lines of all, and how it went at each agent: one of whose lines some had
    no place here is cut. Agents are not trusted to keep to the bounds."""
    every = [
        (line, one)
        for one in outcomes
        for line in (one.found.lines if one.found else ())
        if line.at_ms >= since_ms
    ]
    every.sort(key=lambda pair: (-pair[0].at_ms, pair[1].agent))
    fitting = _fitting((line for line, _ in every), limit)
    lines = [
        FoundLine(at=line.at_ms, agent=one.agent, name=one.name, text=line.text)
        for line, one in every[:fitting]
    ]
    dropped = Counter(one.agent for _, one in every[fitting:])
    kept = Counter(line.agent for line in lines)
    return lines, [_searched(one, kept[one.agent], dropped[one.agent]) for one in outcomes]


def _fitting(lines: Iterable[LogLine], limit: int) -> int:
    """Returns how many lines have a place in an answer."""
    count = size = 0
    for line in lines:
        size += len(line.text.encode(errors="replace"))
        if count >= limit or size > MOST_TEXT:
            break
        count += 1
    return count


def _searched(one: Outcome, kept: int, dropped: int) -> SearchedAgent:
    state, why = one.state, one.why
    if one.found is not None and one.found.cut:
        state, why = "cut", one.found.cut
    elif dropped:
        state, why = "cut", f"{dropped} older lines have no place in the answer"
    return SearchedAgent(agent=one.agent, name=one.name, state=state, why=why, lines=kept)
