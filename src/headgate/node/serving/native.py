"""Serves with the native engine: listeners from the supervisor, the plan to the data plane."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator
from typing import TypeVar

from headgate.compile.located import said
from headgate.compile.settings import NodeSettings
from headgate.engines.applies import Applies
from headgate.engines.native.client import DataPlaneClient
from headgate.engines.native.engine import NativeEngine
from headgate.engines.native.status import engine_status
from headgate.engines.native.types import Applied, DataPlaneStatus, Refused
from headgate.engines.status import ApplyPhase, EngineStatus, LastApply
from headgate.engines.types import (
    EngineUnavailableError,
    ObjectError,
    TapChunk,
    TapFilter,
    UpstreamStatus,
)
from headgate.kernel.diagnostics import Diagnostic
from headgate.node.about import version
from headgate.node.link import About, AddressError, BusyError, DataPlane, LinkError
from headgate.node.ports import Able, Candidate, Sockets, Verdict
from headgate.node.serving.planes import DataPlanes
from headgate.node.serving.refusals import refusals
from headgate.plan.objects import Listener
from headgate.plan.plan import Plan

T = TypeVar("T")

_ASK_S = 2.0
_PLANE_S = 30.0  # as long as the supervisor waits for a data plane
_ATTEMPTS = 5
_RETRY_S = 1.0


class NativeServing:
    """Opens new addresses, applies the plan, then releases addresses that are gone."""

    def __init__(self, engine: NativeEngine, sockets: Sockets, workers: int | None = None) -> None:
        """`workers` overrides the config."""
        self.planes = DataPlanes()
        self.engine = engine
        self.on_event: Callable[[str, str, str, dict[str, str]], None] = lambda *_: None
        self.on_wanted: Callable[[], object] = lambda: None
        # Never called: the data plane answers once, when every worker serves the plan.
        self.on_applied: Callable[[Candidate], None] = lambda _: None
        self._listening: set[str] = set()
        self._sockets = sockets
        self._workers = workers
        self._applies = Applies()

    @property
    def digest(self) -> str:
        """The digest (hex) of the plan that is served, as last heard; empty = unknown."""
        return self.engine.held_digest

    @property
    def listening(self) -> set[str]:
        """The addresses that the supervisor holds open."""
        return self._listening

    def begin(self, about: About) -> None:
        """Takes over what the supervisor still holds for earlier control processes."""
        self.planes.announce(about.dataplane)
        self._listening = set(about.listening)

    def announced(self, plane: DataPlane) -> None:
        """Sends the next config to this data plane."""
        self.planes.announce(plane)

    def ended(self, plane: DataPlane) -> None:
        """Notes that a data plane ended, which another one may have replaced before."""
        self.planes.ended(plane)

    def lost(self) -> None:
        """Notes that no data plane can be reached; the next one is announced."""
        self.planes.withdraw()

    def unready(self) -> str:
        """Returns why nothing can be served now; empty when it can."""
        return "there is no data plane" if self.planes.current is None else ""

    async def serve(self, candidate: Candidate) -> Verdict:
        """Makes every worker serve the candidate, or changes nothing.

        Raises EngineUnavailableError or LinkError if no process can do it.
        """
        digest = candidate.plan.digest.hex()
        try:
            verdict = await self._serve(candidate)
        except (EngineUnavailableError, LinkError) as error:
            self._ended("rejected", digest, str(error))
            raise
        if verdict.errors:
            self._ended("rejected", digest, "; ".join(map(str, verdict.errors)))
        return verdict

    async def _serve(self, candidate: Candidate) -> Verdict:
        wanted = {address: listener for _, listener, address in _addresses(candidate.plan)}
        new = [address for address in wanted if address not in self._listening]
        if new:
            backlog = max(wanted[address].backlog for address in new)
            try:
                await self._sockets.listen(new, backlog)
            except BusyError as busy:
                return _busy(candidate, busy.errors)
            self._listening.update(new)
        began = time.monotonic()
        outcome = await self._apply(candidate)
        if isinstance(outcome, Refused):
            await self._release(new)
            errors = tuple(_refused(candidate, error) for error in outcome.errors)
            named = ((one.kind, one.name, one.path, one.message) for one in outcome.errors)
            is_passing = all(one.is_passing for one in outcome.errors)
            return Verdict(errors, refused=refusals(candidate, named), is_passing=is_passing)
        if outcome.changed:
            self._ended("serving", outcome.digest, took_s=time.monotonic() - began)
        await self._release([address for address in self._listening if address not in wanted])
        return Verdict(changed=outcome.changed)

    def _ended(self, phase: ApplyPhase, digest: str, text: str = "", took_s: float = 0.0) -> None:
        """Records an apply; every worker has said that it serves by then."""
        took_s = round(took_s, 3)
        self._applies.ended(LastApply(time.time(), phase, digest, text, took_s, took_s))

    async def settle(self, settings: NodeSettings) -> None:
        """Sets the number of workers to that of the served config."""
        await self._sockets.workers(self._workers or settings.workers)

    async def upstreams(self) -> list[UpstreamStatus] | None:
        """Returns every endpoint as the data plane sees it; None while it is being replaced."""
        plane = await self._plane()
        return None if plane is None else plane.upstreams

    async def status(self) -> EngineStatus:
        """Returns how the data plane is, endpoints included; `down` while it is being replaced."""
        return engine_status(await self._plane(), self.engine.identity, self._applies)

    async def _plane(self) -> DataPlaneStatus | None:
        with contextlib.suppress(EngineUnavailableError):
            return await self._asked(lambda client: client.status(endpoints=True))
        return None

    async def set_endpoint(self, upstream: str, endpoint: str, state: str) -> str:
        """Gives an operator's order for an endpoint; returns why it cannot, empty when done.

        Raises EngineUnavailableError while the data plane is being replaced.
        """
        return await self._asked(lambda client: client.set_endpoint(upstream, endpoint, state))

    async def tap(self, wanted: TapFilter) -> AsyncGenerator[TapChunk, None]:
        """Yields the requests from now on as they end, until the data plane is replaced.

        Raises EngineUnavailableError while it is being replaced, and TapRefusedError.
        """
        await self.planes.connected(self.engine, _ASK_S)
        async with contextlib.aclosing(self.engine.client().tap(wanted)) as chunks:
            async for one in chunks:
                yield one

    async def able(self, settings: NodeSettings) -> Able | None:
        """Returns the version of the program, which the engine is a part of."""
        return Able(version())

    async def metrics(self) -> bytes | None:
        """Returns the data plane's families; None while it is being replaced."""
        with contextlib.suppress(EngineUnavailableError):
            return await self._asked(lambda client: client.metrics())
        return None

    def tasks(self) -> list[Coroutine[object, object, None]]:
        """Returns the task that listens to data planes."""
        return [self._follow()]

    async def close(self, *, ends: bool) -> None:
        """Does nothing: the data plane belongs to the supervisor."""
        await self.engine.close()

    async def _follow(self) -> None:
        """Passes on what data planes say, one after the other, until cancelled."""
        while True:
            with contextlib.suppress(EngineUnavailableError):  # it is being replaced
                async for one in self.engine.client().events():
                    fields = {"object": f"{one.object_kind} {one.object_name}".strip()}
                    self.on_event(one.level, one.kind, one.message, fields)
            await asyncio.sleep(_RETRY_S)

    async def _asked(self, question: Callable[[DataPlaneClient], Awaitable[T]]) -> T:
        """Returns the answer of the data plane to a question that may be asked twice.

        The data plane that we are connected to may have gone while the next one serves already.
        Raises EngineUnavailableError if that does not answer, either.
        """
        with contextlib.suppress(EngineUnavailableError):
            return await question(self.engine.client())
        await self.planes.connected(self.engine, _ASK_S)
        return await question(self.engine.client())

    async def _apply(self, candidate: Candidate) -> Applied | Refused:
        for attempt in range(_ATTEMPTS):
            await self.planes.connected(self.engine, _PLANE_S)
            try:
                return await self.engine.apply(candidate.plan, candidate.blobs)
            except EngineUnavailableError:
                await self.engine.close()  # replaced meanwhile, or about to be
                if attempt == _ATTEMPTS - 1:
                    raise
        raise EngineUnavailableError("there is no data plane")

    async def _release(self, addresses: list[str]) -> None:
        if addresses:
            await self._sockets.release(addresses)
            self._listening.difference_update(addresses)


def _addresses(plan: Plan) -> Iterator[tuple[str, Listener, str]]:
    """Yields (listener's name, listener, address) of every address of a plan."""
    for key, entry in plan.objects.items():
        if key.kind != "listener":
            continue
        listener = entry.value
        if isinstance(listener, Listener):
            for address in listener.places:
                yield key.name, listener, address


def _busy(candidate: Candidate, errors: tuple[AddressError, ...]) -> Verdict:
    names = {address: name for name, _, address in _addresses(candidate.plan)}
    found, named = [], []
    for error in errors:
        held = f" (held by {error.holder})" if error.holder else ""
        name = names.get(error.address, "")
        why = f"cannot listen on {error.address}: {error.error}{held}"
        found.append(said(candidate.locate("listener", name, "address"), why))
        named.append(("listener", name, "address", why))
    return Verdict(tuple(found), refused=refusals(candidate, named), is_passing=True)


def _refused(candidate: Candidate, error: ObjectError) -> Diagnostic:
    return said(candidate.locate(error.kind, error.name, error.path), error.message)
