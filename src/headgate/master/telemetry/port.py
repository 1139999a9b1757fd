"""Serves a master's metrics on a port of their own."""

import asyncio
import os
import platform
import resource
import time
from pathlib import Path
from typing import Final

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from headgate.kernel.openmetrics import CLASSIC, CONTENT_TYPES, classic, wanted
from headgate.master.services import Master
from headgate.master.store.errors import StoreUnavailableError
from headgate.master.store.scope import MASTER
from headgate.master.telemetry import standing
from headgate.master.telemetry.page import Process, Seen, Sessions, Store, page
from headgate.master.telemetry.standing import Standing
from headgate.master.telemetry.work import Work

_FRESH_S: Final = 1.0
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")

_log = structlog.get_logger()


class Metrics:
    """The page of a master. Who asks within a second of another gets the same look."""

    def __init__(self, master: Master, version: str) -> None:
        self._master = master
        self._version = version
        self._started_at = round(time.time(), 3)
        self._lock = asyncio.Lock()
        self._looked_at = -_FRESH_S
        self._last: Standing | None = None

    async def page(self) -> bytes:
        """Returns OpenMetrics text."""
        return page(self._seen(await self._standing()))

    async def _standing(self) -> Standing | None:
        async with self._lock:
            if time.monotonic() - self._looked_at >= _FRESH_S:
                self._last = await self._look()
                self._looked_at = time.monotonic()
            return self._last

    async def _look(self) -> Standing | None:
        try:
            async with self._master.database.read(MASTER) as tx:
                return await standing.look(tx, self._master.clock())
        except StoreUnavailableError as error:
            _log.warning("the metrics lack what the database knows", reason=str(error))
            return None

    def _seen(self, found: Standing | None) -> Seen:
        master = self._master
        database, arrivals = master.database, master.book.arrivals
        return Seen(
            now_s=master.clock() / 1_000,
            process=self._process(),
            store=Store(
                kind="sqlite" if database.is_sqlite else "postgresql",
                writes=dict(database.writes.outcomes),
                durations=database.writes.durations.buckets(),
                waiting=database.waiting,
                metrics_waiting=master.recorder.waiting,
            ),
            sessions=Sessions(
                by_transport=master.hub.by_transport(),
                watchers=master.feeds.watchers,
                stalled=master.stalled.cut,
                from_publication=arrivals.from_publication.buckets(),
                from_offer=arrivals.from_offer.buckets(),
            ),
            work=Work(
                upgrades=master.book.upgrades,
                searches=master.searched,
                searches_under_way=master.searches.under_way,
                previews=master.previews,
            ),
            rest=master.rest,
            authorities=standing.authorities(master.authority.current),
            standing=found,
        )

    def _process(self) -> Process:
        used = resource.getrusage(resource.RUSAGE_SELF)
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return Process(
            build={"version": self._version, "python": platform.python_version()},
            started_at=self._started_at,
            cpu_s=round(used.ru_utime + used.ru_stime, 3),
            resident_bytes=pages * _PAGE_BYTES,
            open_fds=len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - a path for each costs more
        )


def metrics_application(metrics: Metrics) -> Starlette:
    """Returns the application: `GET /metrics`, and nothing else."""

    async def answer(request: Request) -> Response:
        text = await metrics.page()
        form = wanted(", ".join(request.headers.getlist("accept")))
        headers = {"content-type": CONTENT_TYPES[form], "vary": "accept"}
        return Response(classic(text) if form == CLASSIC else text, headers=headers)

    return Starlette(routes=[Route("/metrics", answer)])
