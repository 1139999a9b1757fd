"""Config → plan → listeners → data plane → listeners that are gone: one run at a time.

Whatever asks for a reload (a changed file, `POST /reload`, SIGHUP, a new data plane) sets the same
wish. While a run is under way further wishes become one next run, so the latest config wins.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator

import msgspec

from headgate.compile.located import said
from headgate.engines.native.engine import NativeEngine
from headgate.engines.native.types import (
    Applied,
    EngineUnavailableError,
    ObjectError,
    Refused,
)
from headgate.kernel.diagnostics import Diagnostic
from headgate.node.link import AddressError, BusyError, LinkError
from headgate.node.planes import DataPlanes
from headgate.node.ports import Candidate, Ours, Rejected, Sockets, Source
from headgate.node.results import Outcome, ReloadResult
from headgate.plan.objects import Listener
from headgate.plan.plan import Plan

_PLANE_S = 30.0  # as long as the supervisor waits for a data plane
_ATTEMPTS = 5


class Wish:
    """A run that is asked for; `load` = read the config again, not only apply what is served."""

    def __init__(self) -> None:
        self.reasons: list[str] = []
        self.load = False
        self.result: asyncio.Future[ReloadResult] = asyncio.get_running_loop().create_future()


class Pipeline:
    """Runs reloads one after the other and remembers what is served."""

    def __init__(
        self,
        source: Source,
        engine: NativeEngine,
        sockets: Sockets,
        planes: DataPlanes,
        ours: Ours,
        workers: int | None = None,
    ) -> None:
        """`workers`: takes the place of what the config says."""
        self._workers = workers
        self._ours = ours
        self._source = source
        self._engine = engine
        self._sockets = sockets
        self._planes = planes
        self._wish: Wish | None = None
        self._wished = asyncio.Event()
        self.on_result: Callable[[ReloadResult], None] = lambda result: None
        self.listening: set[str] = set()
        self.served: Candidate | None = None
        self.last: ReloadResult | None = None
        self.last_success_at: float = 0.0
        self.counts: Counter[Outcome] = Counter()

    def reload(self, reason: str) -> asyncio.Future[ReloadResult]:
        """Asks for the config to be read and served; the result of the run that does it."""
        return self._want(reason, load=True)

    def resync(self) -> asyncio.Future[ReloadResult]:
        """Asks for what is served to be given to a new data plane."""
        return self._want("data plane", load=False)

    async def run(self) -> None:
        """Does what is asked for, until cancelled."""
        while True:
            await self._wished.wait()
            self._wished.clear()
            wish, self._wish = self._wish, None
            if wish is None:
                continue
            try:
                result = await self._run(wish)
            except asyncio.CancelledError:
                wish.result.cancel()
                raise
            if wish.load or result.outcome is not Outcome.UNCHANGED:
                self._record(result)
            if not wish.result.done():
                wish.result.set_result(result)

    def _record(self, result: ReloadResult) -> None:
        self.counts[result.outcome] += 1
        self.last = result
        if result.is_ok:
            self.last_success_at = result.at
        self.on_result(result)

    def _want(self, reason: str, *, load: bool) -> asyncio.Future[ReloadResult]:
        if self._wish is None:
            self._wish = Wish()
        wish = self._wish
        wish.load = wish.load or load
        if reason not in wish.reasons:
            wish.reasons.append(reason)
        self._wished.set()
        return wish.result

    async def _run(self, wish: Wish) -> ReloadResult:
        reason = ", ".join(wish.reasons)
        started = time.perf_counter()
        found: Candidate | Rejected | None = self.served
        if wish.load or found is None:
            found = await asyncio.to_thread(self._source.load)
        load_ms = (time.perf_counter() - started) * 1000
        started = time.perf_counter()
        result = await self._outcome(found)
        return msgspec.structs.replace(
            result,
            reason=reason,
            at=time.time(),
            digest=self._engine.held_digest,
            objects=len(self.served.plan.objects) if self.served else 0,
            load_ms=round(load_ms, 3),
            apply_ms=round((time.perf_counter() - started) * 1000, 3),
        )

    async def _outcome(self, found: Candidate | Rejected) -> ReloadResult:
        if isinstance(found, Rejected):
            return ReloadResult(outcome=Outcome.REFUSED, diagnostics=found.diagnostics)
        try:
            errors, changed = await self._serve(found)
        except (EngineUnavailableError, LinkError) as error:
            return ReloadResult(outcome=Outcome.FAILED, error=str(error))
        if errors:
            diagnostics = (*errors, *found.warnings)
            return ReloadResult(outcome=Outcome.REFUSED, diagnostics=diagnostics)
        self.served = found
        outcome = Outcome.APPLIED if changed else Outcome.UNCHANGED
        return ReloadResult(outcome=outcome, diagnostics=found.warnings)

    async def _serve(self, candidate: Candidate) -> tuple[tuple[Diagnostic, ...], bool]:
        """Serves a candidate whole, or reports why not with nothing changed."""
        wrong = self._ours.prepare(candidate.node)
        try:
            errors = tuple(said(candidate.locate("settings", "node", ""), one) for one in wrong)
            if errors:
                return errors, False
            errors, changed = await self._serve_traffic(candidate)
            if not errors:
                self._ours.commit()
                await self._sockets.workers(self._workers or candidate.node.workers)
            return errors, changed
        finally:
            self._ours.abandon()  # what was committed is not affected

    async def _serve_traffic(self, candidate: Candidate) -> tuple[tuple[Diagnostic, ...], bool]:
        wanted = {address: listener for _, listener, address in _addresses(candidate.plan)}
        new = [address for address in wanted if address not in self.listening]
        if new:
            backlog = max(wanted[address].backlog for address in new)
            try:
                await self._sockets.listen(new, backlog)
            except BusyError as busy:
                return _busy(candidate, busy.errors), False
            self.listening.update(new)
        outcome = await self._apply(candidate)
        if isinstance(outcome, Refused):
            await self._release(new)
            return tuple(_refused(candidate, error) for error in outcome.errors), False
        await self._release([address for address in self.listening if address not in wanted])
        return (), outcome.changed

    async def _apply(self, candidate: Candidate) -> Applied | Refused:
        for attempt in range(_ATTEMPTS):
            await self._planes.connected(self._engine, _PLANE_S)
            try:
                return await self._engine.apply(candidate.plan, candidate.blobs)
            except EngineUnavailableError:
                await self._engine.close()  # replaced meanwhile, or about to be
                if attempt == _ATTEMPTS - 1:
                    raise
        raise EngineUnavailableError("there is no data plane")

    async def _release(self, addresses: list[str]) -> None:
        if addresses:
            await self._sockets.release(addresses)
            self.listening.difference_update(addresses)


def _addresses(plan: Plan) -> Iterator[tuple[str, Listener, str]]:
    """(listener's name, listener, address) of every address of a plan."""
    for key, entry in plan.objects.items():
        if isinstance(entry.value, Listener):
            for address in entry.value.addresses:
                yield key.name, entry.value, address


def _busy(candidate: Candidate, errors: tuple[AddressError, ...]) -> tuple[Diagnostic, ...]:
    names = {address: name for name, _, address in _addresses(candidate.plan)}
    found = []
    for error in errors:
        held = f" (held by {error.holder})" if error.holder else ""
        place = candidate.locate("listener", names.get(error.address, ""), "address")
        found.append(said(place, f"cannot listen on {error.address}: {error.error}{held}"))
    return tuple(found)


def _refused(candidate: Candidate, error: ObjectError) -> Diagnostic:
    return said(candidate.locate(error.kind, error.name, error.path), error.message)
