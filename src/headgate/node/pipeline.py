"""Config → plan → engine: one run at a time.

Every request for a reload (a changed file, `POST /reload`, SIGHUP, a new data plane) sets the same
wish. During a run further wishes become one next run, so the latest config wins.

A failure ends its run alone: what is served stays, the result says why, and a run that could not be
done is tried again.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
import structlog

from headgate.compile.located import said
from headgate.engines.types import EngineUnavailableError
from headgate.kernel.diagnostics import Diagnostic
from headgate.node.isolating import serve_the_rest
from headgate.node.link import LinkError
from headgate.node.loading import LoadHangsError, Loading
from headgate.node.ports import (
    Candidate,
    NothingYetError,
    Objection,
    Ours,
    Rejected,
    Serving,
    Source,
    Verdict,
)
from headgate.node.results import Outcome, ReloadResult

RUN_S: Final = 600.0
"""The time that a run may take, whatever it waits for."""
_AGAIN_S: Final = (5.0, 300.0)
"""The delay before the next run after one that broke: at first, and at most."""
_RECENT: Final = 5
"""The number of replaced configs that it remembers; they share what they have in common."""

_log = structlog.get_logger()


class Wish:
    """A requested run; `load` = read the config again, not only apply what is served."""

    def __init__(self) -> None:
        self.reasons: list[str] = []
        self.load = False
        self.result: asyncio.Future[ReloadResult] = asyncio.get_running_loop().create_future()


class Pipeline:
    """Runs reloads one after the other and remembers the served plan."""

    def __init__(
        self,
        source: Source,
        serving: Serving,
        ours: Ours,
        objections: Callable[[Candidate], tuple[Diagnostic, ...]] = lambda _: (),
        run_s: float = RUN_S,
    ) -> None:
        """`objections`: what speaks against a config before any change for it."""
        self._run_s = run_s
        self._again_s = _AGAIN_S[0]
        self._again: asyncio.TimerHandle | None = None
        self.loading = Loading(source)
        self.loading.on_end = lambda: self.reload("another try")
        self._ours = ours
        self._objections = objections
        self._serving = serving
        self._wish: Wish | None = None
        self._wished = asyncio.Event()
        self.on_result: Callable[[ReloadResult], None] = lambda result: None
        self.on_validated: Callable[[Candidate], None] = lambda candidate: None
        """Called with each config that compiled, before anything is changed for it."""
        self.on_served: Callable[[Candidate], None] = lambda candidate: None
        """Called with each config that is served now."""
        self.on_loaded: Callable[[Candidate], Awaitable[bool]] = _nothing
        """Called with each config that was read; whether it is to be read again, because what it
        needs from elsewhere came."""
        self.idle = asyncio.Event()
        """Set while no run is under way."""
        self.idle.set()
        self.served: Candidate | None = None
        """The plan that a run served last."""
        self._recent: dict[str, Candidate] = {}
        self.last: ReloadResult | None = None
        self.last_success_at: float = 0.0
        self.counts: Counter[Outcome] = Counter()

    def reload(self, reason: str) -> asyncio.Future[ReloadResult]:
        """Has the config read and served; returns the result of the run that does it."""
        return self._want(reason, load=True)

    def resync(self) -> asyncio.Future[ReloadResult]:
        """Requests that a new data plane gets the served plan, or what could not be served yet."""
        return self._want("data plane", load=False)

    async def run(self) -> None:
        """Does the requested runs, until cancelled."""
        while True:
            await self._wished.wait()
            self._wished.clear()
            wish, self._wish = self._wish, None
            if wish is None:
                continue
            self.idle.clear()
            try:
                result = await self._whole_run(wish)
            except asyncio.CancelledError:
                wish.result.cancel()
                raise
            finally:
                self.idle.set()
            if wish.load or result.outcome is not Outcome.UNCHANGED:
                try:
                    self._record(result)
                except Exception as error:  # a reporter must not end the reloads
                    _log.error("config.not_reported", exc_info=error)
            if not wish.result.done():
                wish.result.set_result(result)

    def in_service(self) -> Candidate | None:
        """Returns the served plan: an older one after a rollback of the engine.

        None where this process has not read the served config.
        """
        digest = self._serving.digest
        return self._recent.get(digest) if digest else self.served

    def _remember(self, candidate: Candidate) -> None:
        self.served = candidate
        digest = candidate.plan.digest.hex()
        self._recent.pop(digest, None)
        self._recent[digest] = candidate
        for old in list(self._recent)[:-_RECENT]:
            del self._recent[old]

    def _record(self, result: ReloadResult) -> None:
        self.counts[result.outcome] += 1
        self.last = result
        if result.is_ok:
            self.last_success_at = result.at
        self.on_result(result)

    async def _whole_run(self, wish: Wish) -> ReloadResult:
        """Returns the result of a run, also of one that breaks or does not end."""
        limit = asyncio.timeout(self._run_s)
        try:
            async with limit:
                result = await self._run(wish)
        except Exception as error:
            reason = ", ".join(wish.reasons)
            _log.error("config.run_broken", reason=reason, exc_info=error)
            why = f"an error inside headgate ended the run ({type(error).__name__}); see the log"
            if limit.expired():
                why = f"the run did not end within {self._run_s:g} s; see the log"
            self._try_again()
            result = ReloadResult(outcome=Outcome.FAILED, error=why, reason=reason)
            return msgspec.structs.replace(result, at=time.time(), digest=self._serving.digest)
        return result

    def _try_again(self) -> None:
        """Requests another run later: the cause of this failure may have passed by then.

        The run that begins next takes the request back, also if it is not that one.
        """
        loop = asyncio.get_running_loop()
        self._again = loop.call_later(self._again_s, lambda: self.reload("another try"))
        self._again_s = min(2 * self._again_s, _AGAIN_S[1])

    def _want(self, reason: str, *, load: bool) -> asyncio.Future[ReloadResult]:
        if self._wish is None:
            self._wish = Wish()
        wish = self._wish
        wish.load = wish.load or load
        if reason not in wish.reasons:
            wish.reasons.append(reason)
        self._wished.set()
        return asyncio.shield(wish.result)  # whoever goes away takes it from nobody else

    async def _run(self, wish: Wish) -> ReloadResult:
        if self._again is not None:  # also for a new data plane: this is that try
            self._again.cancel()
            self._again, wish.load = None, True
        reason = ", ".join(wish.reasons)
        started = time.perf_counter()
        found = await self._found(wish)
        load_ms = (time.perf_counter() - started) * 1000
        started = time.perf_counter()
        result = await self._outcome(found)
        return msgspec.structs.replace(
            result,
            reason=reason,
            at=time.time(),
            digest=self._serving.digest,
            objects=len(served.plan.objects) if (served := self.in_service()) else 0,
            load_ms=round(load_ms, 3),
            apply_ms=round((time.perf_counter() - started) * 1000, 3),
        )

    async def _found(self, wish: Wish) -> Candidate | Rejected | ReloadResult:
        """Returns the candidate to serve, or the result of a run that ends here."""
        if self.served is not None and not wish.load:
            return self.served
        try:
            found = await self.loading.load()
            if isinstance(found, Candidate) and await self.on_loaded(found):
                found = await self.loading.load()
            return found
        except (LoadHangsError, NothingYetError) as error:
            return ReloadResult(outcome=Outcome.FAILED, error=str(error))

    async def _outcome(self, found: Candidate | Rejected | ReloadResult) -> ReloadResult:
        if isinstance(found, ReloadResult):
            return found
        if isinstance(found, Rejected):
            return ReloadResult(outcome=Outcome.REFUSED, diagnostics=found.diagnostics)
        try:
            tried = await serve_the_rest(found, self._serve, self.loading.isolate)
        except LoadHangsError as error:
            return ReloadResult(outcome=Outcome.FAILED, error=str(error))
        except (EngineUnavailableError, LinkError) as error:
            self._try_again()
            return ReloadResult(outcome=Outcome.FAILED, error=str(error))
        found, verdict = tried.candidate, tried.verdict
        diagnostics = (*verdict.errors, *found.warnings)
        if verdict.errors:
            if verdict.is_passing:
                self._try_again()
            return ReloadResult(
                outcome=Outcome.REFUSED,
                diagnostics=diagnostics,
                is_undone=verdict.is_undone,
                is_passing=verdict.is_passing,
            )
        self._remember(found)
        self.on_served(found)
        if tried.is_passing:
            self._try_again()
        else:
            self._again_s = _AGAIN_S[0]
        outcome = Outcome.APPLIED if verdict.changed else Outcome.UNCHANGED
        waited_ms = round(verdict.waited_s * 1000, 3)
        return ReloadResult(outcome=outcome, diagnostics=diagnostics, waited_ms=waited_ms)

    async def _serve(self, candidate: Candidate) -> Verdict:
        """Serves a candidate whole, or reports why not with nothing changed."""
        if objections := self._objections(candidate):
            return Verdict(objections)
        wrong = self._ours.prepare(candidate.node)
        try:
            errors = tuple(_objection(candidate, one) for one in wrong)
            if errors:
                return Verdict(errors)
            self.on_validated(candidate)
            verdict = await self._serving.serve(candidate)
            if not verdict.errors:
                self._ours.commit()
                await self._serving.settle(candidate.node)
            return verdict
        finally:
            self._ours.abandon()  # it does not affect what was committed


async def _nothing(_: Candidate) -> bool:
    return False


def _objection(candidate: Candidate, one: Objection) -> Diagnostic:
    return said(candidate.locate("settings", "node", one.path), one.message, one.allowed)
