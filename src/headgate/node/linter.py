"""Looks for warnings about the served config, beside everything else."""

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from headgate.kernel.diagnostics import Diagnostic
from headgate.node.ports import Candidate

_QUIET_S = 1.0

_log = structlog.get_logger()


class Linter:
    """Checks the newest config once reloads have paused:
    it never checks one that is replaced at once, and no reload waits for it.
    """

    def __init__(self, quiet_s: float = _QUIET_S, idle: asyncio.Event | None = None) -> None:
        """`quiet_s`: how long no other config must come before it checks one.

        `idle` is set while no reload is under way; without it none ever is.
        """
        self._quiet_s = quiet_s
        self._idle = idle
        self._newest: Candidate | None = None
        self._news = asyncio.Event()
        self.found: tuple[Diagnostic, ...] = ()
        self.on_found: Callable[[tuple[Diagnostic, ...]], None] = lambda found: None

    def look_at(self, served: Candidate) -> None:
        """Notes that this config is served now; a repeated config changes nothing."""
        if served is not self._newest:
            self._newest = served
            self._news.set()

    async def run(self) -> None:
        """Checks configs until cancelled; `on_found` receives new warnings.

        Costs a thread some tens of milliseconds per ten thousand objects.
        """
        while True:
            await self._news.wait()
            await self._pause()
            served = self._newest
            if served is None:
                continue
            try:
                found = await asyncio.to_thread(served.lints)
            except Exception as error:
                _log.error("config.not_linted", exc_info=error)
                continue
            if served is self._newest:
                before, self.found = self.found, found
                self.on_found(tuple(one for one in found if one not in before))

    async def _pause(self) -> None:
        """Returns once nothing has come for a while and no reload needs the processor."""
        while self._news.is_set():
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._quiet_s):
                    await self._news.wait()
            if self._idle is not None and not self._idle.is_set():
                await self._idle.wait()
                self._news.set()  # the pause begins again
