"""Starts checks when they are due: some at a time, so many in a second."""

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Final

from headgate.engines.nginx.checks import tls
from headgate.engines.nginx.checks.answer import Failure
from headgate.engines.nginx.checks.probe import Terms, probe
from headgate.engines.nginx.checks.table import HealthTable, Member
from headgate.kernel.ids import BlobId, ObjectName
from headgate.plan.kinds import ObjectKey
from headgate.plan.objects import Certificate, Upstream
from headgate.plan.plan import Plan

_AT_ONCE: Final = 64
_PER_SECOND: Final = 100
_IDLE_S: Final = 1.0
"""As long as it sleeps at most: panic ends by time."""

Contexts = dict[str, ssl.SSLContext | Failure]


def clock_ms() -> int:
    """Returns milliseconds of the monotonic clock."""
    return time.monotonic_ns() // 1_000_000


class Rounds:
    """The checks of what is served. `moved` is called when the health of an endpoint changed."""

    def __init__(self, table: HealthTable, moved: Callable[[], None]) -> None:
        self._table = table
        self._moved = moved
        self._contexts: Contexts = {}
        self._wake = asyncio.Event()
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._running: set[asyncio.Task[None]] = set()

    def serve(self, plan: Plan, blobs: Mapping[BlobId, bytes]) -> None:
        """Takes over the TLS of a plan that is served; the table has its endpoints already."""
        self._contexts = {
            key.name: _context(plan, entry.value, blobs)
            for key, entry in plan.objects.items()
            if isinstance(entry.value, Upstream) and entry.value.tls is not None
        }
        self._wake.set()

    async def run(self) -> None:
        """Checks until cancelled."""
        try:
            while True:
                for member, upstream in self._table.due():
                    await self._slots.acquire()
                    task = asyncio.create_task(self._check(member, upstream))
                    self._running.add(task)
                    task.add_done_callback(self._running.discard)
                    await asyncio.sleep(1 / _PER_SECOND)
                if self._table.turn():
                    self._moved()
                await self._rest()
        finally:
            for task in self._running:
                task.cancel()

    async def _rest(self) -> None:
        """Waits until the next check is due, or a result or a plan came."""
        next_ms = self._table.next_ms()
        wait = _IDLE_S if next_ms is None else min((next_ms - clock_ms()) / 1000, _IDLE_S)
        self._wake.clear()
        if wait > 0:
            try:
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            except TimeoutError:
                return

    async def _check(self, member: Member, upstream: Upstream) -> None:
        began_ms = clock_ms()
        failure: Failure | None = Failure("check-lost", "the check itself failed")
        try:
            failure = await self._probed(member, upstream)
        finally:
            self._slots.release()
            if self._table.result(member, failure, began_ms):
                self._moved()
            self._wake.set()

    async def _probed(self, member: Member, upstream: Upstream) -> Failure | None:
        check = upstream.health.check
        if check is None:
            return None
        context = self._contexts.get(member.upstream) if upstream.tls is not None else None
        if isinstance(context, Failure):
            return context
        address = member.endpoint.address
        name = tls.name_of(upstream.tls, address) if upstream.tls is not None else ""
        is_told = upstream.pool.proxy_protocol is not None
        terms = Terms(check, address, member.target, context, name, upstream.head_bytes, is_told)
        return await probe(terms)


def _context(
    plan: Plan, upstream: Upstream, blobs: Mapping[BlobId, bytes]
) -> ssl.SSLContext | Failure:
    wanted = upstream.tls
    if wanted is None:
        return Failure("check-tls", "the upstream has no TLS")
    pair = None
    if wanted.client_certificate is not None:
        entry = plan.objects.get(ObjectKey("certificate", ObjectName(wanted.client_certificate)))
        pair = entry.value if entry is not None and isinstance(entry.value, Certificate) else None
    try:
        return tls.context_of(wanted, pair, blobs)
    except OSError as error:
        return Failure("check-tls", f"OpenSSL does not read the upstream's certificates: {error}")
