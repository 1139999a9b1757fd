"""Reads the source in a thread of its own, and abandons the thread when it hangs."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from headgate.node.aside import aside
from headgate.node.ports import Candidate, Rejected, Source, Verdict
from headgate.providers.file.patience import LOAD_S, READ_S, silence, slowness

_AGAIN_S: Final = 1.0
_LOOK_S: Final = 0.25

Found = Candidate | Rejected


class LoadHangsError(Exception):
    """The config cannot be read now; the message names the file that it waits for."""


class Loading:
    """One reading at a time, also while one hangs: its thread cannot be stopped."""

    def __init__(self, source: Source, read_s: float = READ_S, load_s: float = LOAD_S) -> None:
        self.on_end: Callable[[], object] = lambda: None
        """Called when an abandoned reading has ended: another one may succeed."""
        self._source = source
        self._read_s = read_s
        self._load_s = load_s
        self._hanging: asyncio.Future[Found] | None = None

    async def load(self) -> Found:
        """Returns the present config. Raises LoadHangsError, and the errors of the source."""
        return await self._done(self._source.load)

    async def isolate(self, candidate: Candidate, verdict: Verdict) -> Found:
        """Returns the config without what the engine refused of it, if that can be; raises as
        `load`.
        """
        return await self._done(lambda: self._source.isolate(candidate, verdict))

    async def _done(self, work: Callable[[], Found]) -> Found:
        if self._hanging is not None:
            # A later caller waits less than the first one.
            await asyncio.wait([self._hanging], timeout=_AGAIN_S)
            if not self._hanging.done():
                raise LoadHangsError(self._why(time.monotonic(), always=True))
        started = time.monotonic()
        reading = aside(work, "load")
        while not reading.done():
            await asyncio.wait([reading], timeout=min(_LOOK_S, self._read_s / 4))
            if not reading.done() and (why := self._why(started)):
                self._hanging = reading
                reading.add_done_callback(self._ended)
                raise LoadHangsError(why)
        return reading.result()

    def _why(self, started: float, *, always: bool = False) -> str:
        """Returns the file that the load waits for, if it has waited long enough; else empty."""
        now, reading = time.monotonic(), self._source.reading()
        if reading is not None and (always or now - reading.since >= self._read_s):
            return silence(reading, now)
        if always or now - started >= self._load_s:
            return slowness(self._load_s)
        return ""

    def _ended(self, reading: "asyncio.Future[Found]") -> None:
        self._hanging = None
        if not reading.cancelled():
            reading.exception()  # it is not lost: the next reading meets it again
            self.on_end()
