"""Searches that agents are asked for and have not answered yet: one future for each."""

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, Literal, TypeAlias

from headgate.fleet import master_events as ev
from headgate.fleet.searches import LOGS, MOST_TEXT_BYTES, LogLines, LogSearch, whole
from headgate.fleet.signing import Bind
from headgate.master.fleet.live import LiveSession

PATIENCE_S: Final = 10.0
"""The time that an agent may take to answer; its own bound is 3 s for each search before it."""
_MOST_TEXT: Final = 2 * MOST_TEXT_BYTES
_PARTS: Final = 16

Why: TypeAlias = Literal["away", "older", "silent", "failed"]


class SearchError(Exception):
    """An agent was not searched; the text says why."""

    def __init__(self, code: Why, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass
class _Waiting:
    """Somebody who waits for an answer, and its parts so far."""

    answer: asyncio.Future[LogLines]
    parts: list[LogLines] = field(default_factory=list)
    size: int = 0

    def add(self, part: LogLines) -> None:
        """Takes a part; an agent that never says its last one, or too much, is cut off."""
        self.parts.append(part)
        self.size += sum(len(line.text) for line in part.lines)
        if self.answer.done():
            return
        if part.is_last:
            self.answer.set_result(whole(self.parts))
        elif self.size > _MOST_TEXT or len(self.parts) >= _PARTS:
            found = whole(self.parts)
            self.answer.set_result(replace(found, cut="it answers more than it was asked for"))


class Asking:
    """The searches of one hub."""

    def __init__(self, session_of: Callable[[str], LiveSession | None]) -> None:
        self._session_of = session_of
        self._numbers = itertools.count(1)
        self._waiting: dict[tuple[str, int], _Waiting] = {}

    async def search(
        self, agent: str, wanted: LogSearch, bind: Bind, patience_s: float = PATIENCE_S
    ) -> LogLines:
        """Returns what an agent found; raises SearchError."""
        session = self._session_of(agent)
        if session is None:
            raise SearchError("away", "it has no session with this master")
        if not session.takes(LOGS):
            raise SearchError("older", "its version searches no logs; upgrade the agent")
        number = next(self._numbers)
        waiting = _Waiting(asyncio.get_running_loop().create_future())
        self._waiting[agent, number] = waiting
        session.handle(ev.Asked(replace(wanted, number=number), bind))
        try:
            async with asyncio.timeout(patience_s):
                found = await waiting.answer
        except TimeoutError:
            raise SearchError("silent", f"it did not answer within {patience_s:g} s") from None
        finally:
            del self._waiting[agent, number]
        if found.error:
            raise SearchError("failed", found.error)
        return found

    def answered(self, agent: str, lines: LogLines) -> None:
        """Takes a part of an answer; what nobody waits for is dropped."""
        if waiting := self._waiting.get((agent, lines.number)):
            waiting.add(lines)

    def gone(self, agent: str) -> None:
        """The agent's session has ended: what it was asked is not answered any more."""
        for (asked, _), waiting in self._waiting.items():
            if asked == agent and not waiting.answer.done():
                waiting.answer.set_exception(SearchError("silent", "its session ended meanwhile"))
