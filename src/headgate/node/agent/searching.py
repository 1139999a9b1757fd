"""Answers its master's searches of a node's logs, one after the other."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

from headgate.compile.credentials import hidden_parameters
from headgate.fleet.searches import LogLines, LogSearch
from headgate.kernel.redaction import Hidden
from headgate.node.agent.log_search import search_events, search_log
from headgate.node.agent.log_shape import unsearchable
from headgate.node.events import EventLog
from headgate.node.pipeline import Pipeline

_WAITING: Final = 4
_NO_LOG: Final = (
    "this node writes its access log to no file; set [node.access_log] sink = { path = … }"
)


class Searches:
    """The searches of one node."""

    def __init__(self, pipeline: Pipeline, events: EventLog) -> None:
        self._pipeline = pipeline
        self._events = events
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def ordered(self, search: LogSearch, say: Callable[[LogLines], None]) -> None:
        """Begins a search; `say` gets its answer. From the loop."""
        if len(self._tasks) >= _WAITING:
            say(LogLines(search.number, error="the node is busy with other searches"))
            return
        task = asyncio.create_task(self._search(search, say))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _search(self, search: LogSearch, say: Callable[[LogLines], None]) -> None:
        async with self._turn:
            say(await self._answer(search))

    async def _answer(self, search: LogSearch) -> LogLines:
        served = self._pipeline.served
        hidden = Hidden()
        if served is not None:
            hidden = Hidden(served.secrets, hidden_parameters(served.plan))
        if search.source == "events":
            kept = [line.json for line in self._events.kept()]
            return await asyncio.to_thread(search_events, kept, search, hidden)
        path = served.node.access_log if served is not None else None
        if served is None or path is None:
            return LogLines(search.number, error=_NO_LOG)
        if (why := unsearchable(served.plan, search)) is not None:
            return LogLines(search.number, error=why)
        return await asyncio.to_thread(search_log, Path(path), search, hidden)
