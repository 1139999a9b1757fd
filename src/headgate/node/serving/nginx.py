"""Serves with the nginx engine: renders, applies and proves plans;
turns nginx's words into metrics.
"""

import asyncio
import functools
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from dataclasses import replace
from pathlib import Path

from headgate.compile.located import said
from headgate.compile.settings import NodeSettings
from headgate.engines.nginx.apply.journal import JournalError
from headgate.engines.nginx.apply.results import Rejected
from headgate.engines.nginx.capabilities import NotProbedError
from headgate.engines.nginx.common.drifted import DriftReport
from headgate.engines.nginx.common.types import CannotExpress, Generation, RightMissingError
from headgate.engines.nginx.drive.able import probed_before, words
from headgate.engines.nginx.drive.engine import NginxEngine, Served, Wanted
from headgate.engines.nginx.drive.fixed import fixed_changes
from headgate.engines.nginx.drive.unable import CannotDriveError
from headgate.engines.nginx.health.background import kept_up
from headgate.engines.nginx.instance import SeveralMastersError
from headgate.engines.nginx.instance.running import NotStartedError
from headgate.engines.nginx.releases.disk import NoSpaceError
from headgate.engines.nginx.releases.lock import BusyError
from headgate.engines.nginx.releases.objects import DamagedObjectError
from headgate.engines.nginx.releases.store import UnknownReleaseError
from headgate.engines.nginx.upkeep.checker import Checker
from headgate.engines.nginx.upkeep.keeper import Keeper
from headgate.engines.nginx.watch.watcher import Watcher
from headgate.engines.status import EngineStatus
from headgate.engines.types import (
    EngineUnavailableError,
    TapChunk,
    TapFilter,
    TapRefusedError,
    UpstreamStatus,
)
from headgate.kernel.diagnostics import Diagnostic
from headgate.node.aside import aside
from headgate.node.exposition import text
from headgate.node.link import About, DataPlane
from headgate.node.ports import Able, Candidate, Verdict
from headgate.node.serving.drift_sight import DriftSight
from headgate.node.serving.refusals import refusals
from headgate.plan.objects import Listener

_OF_A_LISTENER = frozenset({"port_held", "port_forbidden", "address_missing"})
"""Causes whose words name the address of a listener."""
_RETRY_S = 0.2
_NAMES_S = 30.0
"""The interval at which the names of endpoints are resolved again."""
_NO_TAP = "the nginx engine has no taps; read its access log (node.access_log)"
_FIXED = "it cannot change while the node runs; restart the node"
_NOT_THE_CONFIG = frozenset({"held", "busy", "superseded", "no_space", "endpoints"})
"""Causes that say nothing about what the user wrote."""

_UNABLE_NOW = (
    BusyError,
    DamagedObjectError,
    JournalError,
    NoSpaceError,
    NotProbedError,
    NotStartedError,
    OSError,
    RightMissingError,
    SeveralMastersError,
    UnknownReleaseError,
)
"""Passing reasons not to drive nginx: the node stays, and reports them."""


class Tries:
    """The delays of retries after a refusal with a passing cause: 5 s, then up to 1 min. Pure."""

    def __init__(self, first_s: float = 5.0, most_s: float = 60.0) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._wait_s = first_s
        self._due: float | None = None

    def failed(self, now: float) -> None:
        """Records a refusal at `now` (monotonic seconds)."""
        self._due = now + self._wait_s
        self._wait_s = min(self._wait_s * 2, self._most_s)

    def begun(self) -> None:
        """Records that another try is under way."""
        self._due = None

    def succeeded(self) -> None:
        """Records success."""
        self._due = None
        self._wait_s = self._first_s

    def is_due(self, now: float) -> bool:
        """Reports whether another try is worth it now."""
        return self._due is not None and now >= self._due


class NginxServing:
    """One nginx, made when the first config says how to drive it."""

    def __init__(self, state_dir: str, workers: int | None = None) -> None:
        """`workers` overrides the config."""
        self.on_event: Callable[[str, str, str, dict[str, str]], None] = lambda *_: None
        self.on_wanted: Callable[[], object] = lambda: None
        self.on_applied: Callable[[Candidate], None] = lambda _: None
        self._tries = Tries()
        self._root = Path(state_dir) / "nginx"
        self._workers = workers
        self._drain_s = 30.0
        self._engine: NginxEngine | None = None
        self._keeper: Keeper | None = None
        self._watcher: Watcher | None = None
        self._checker: Checker | None = None
        self._served: Candidate | None = None
        self._wanted: Candidate | None = None
        self._drift = DriftSight()
        self._applying = asyncio.Lock()
        self._driven = asyncio.Event()
        self._front: asyncio.Task[None] | None = None
        self._listening: set[str] = set()

    @property
    def digest(self) -> str:
        """The digest (hex) of the plan that nginx was last proven to serve."""
        return self._engine.digest if self._engine is not None else ""

    @property
    def listening(self) -> set[str]:
        """The addresses of the served plan: nginx opens them itself."""
        return self._listening

    def begin(self, about: About) -> None:
        """Does nothing: the supervisor holds nothing for us."""

    def ended(self, plane: DataPlane) -> None:
        """Does nothing: there is no data plane beside an nginx."""

    def lost(self) -> None:
        """Does nothing: there is no data plane to lose."""

    def announced(self, plane: DataPlane) -> None:
        """Does nothing: there is no data plane beside an nginx."""

    def unready(self) -> str:
        """Returns why nothing can be served now; empty when it can."""
        watch = self._watch
        if watch is None:
            return "nginx is not known yet"
        return watch.unready()

    @property
    def _watch(self) -> Keeper | Watcher | None:
        return self._keeper or self._watcher

    async def serve(self, candidate: Candidate) -> Verdict:
        """Makes nginx serve the candidate and verifies it; otherwise nothing changes.

        Raises EngineUnavailableError when we may not drive nginx.
        """
        settings = candidate.node.nginx
        if settings.mode == "observe" or self._watcher is not None:
            return await self._watch_only(candidate)
        if self._engine is not None and (fixed := self._engine.fixed_changes(settings)):
            return _refused(candidate, fixed, _FIXED)
        self._wanted = candidate
        try:
            engine = self._engine or await self._begin(candidate.node)
            async with self._applying:
                applied = functools.partial(self.on_applied, candidate)
                found = await self._apply(engine, candidate, applied)
        except CannotDriveError as error:
            self._wanted = None
            return _refused(candidate, [error.key], str(error))
        except _UNABLE_NOW as error:
            self._tries.failed(time.monotonic())
            raise EngineUnavailableError(str(error)) from error
        if isinstance(found, list):
            self._wanted = None
            refused = refusals(candidate, ((o.kind, o.name, o.path, _unable(o)) for o in found))
            return Verdict(tuple(_cannot(candidate, one) for one in found), refused=refused)
        if isinstance(found, Rejected):
            # Somebody may mend a foreign nginx.conf without our notice.
            is_others = settings.mode == "guest" and found.step == "signal"
            if found.is_transient or is_others:
                self._tries.failed(time.monotonic())
            if found.cause.code in _NOT_THE_CONFIG:
                raise EngineUnavailableError(found.text())
            self._wanted = None
            return _refusal(candidate, found)
        self._tries.succeeded()
        self._drain_s = candidate.node.drain_s
        if self._keeper is not None:
            self._keeper.configured()
        self._listening = {
            address
            for entry in candidate.plan.objects.values()
            if isinstance(entry.value, Listener)
            for address in entry.value.addresses
        }
        if found.changed and self._keeper is not None:
            self._keeper.applied()
            for note in found.notes:
                self.on_event("info", "nginx.differs", note, {})
        return Verdict(changed=found.changed, waited_s=found.waited_s)

    async def settle(self, settings: NodeSettings) -> None:
        """Does nothing: workers are part of the rendered config."""

    async def upstreams(self) -> list[UpstreamStatus] | None:
        """Returns every endpoint with what the access log says of it; None while nginx is down."""
        watch = self._watch
        return watch.upstreams() if watch is not None and watch.is_up else None

    async def set_endpoint(self, upstream: str, endpoint: str, state: str) -> str:
        """Gives an operator's order for an endpoint; returns why it cannot, empty when done.

        Raises EngineUnavailableError before the first config is served.
        """
        if self._watcher is not None:
            return "mode observe changes nothing of nginx"
        if self._checker is None or self._served is None:
            raise EngineUnavailableError("nginx serves no config yet")
        return await self._checker.order(upstream, endpoint, state)

    def tap(self, wanted: TapFilter) -> AsyncGenerator[TapChunk, None]:
        """Raises TapRefusedError: nginx tells of requests in its log alone."""
        raise TapRefusedError(_NO_TAP)

    async def status(self) -> EngineStatus:
        """Returns how the nginx is; `unknown` before the first config."""
        watch = self._watch
        if watch is None:
            return EngineStatus(kind="nginx", state="unknown", why=self.unready())
        return await asyncio.to_thread(watch.status)

    def order_policy(self, policy: str, heal_after_s: float) -> None:
        """Takes a fleet's policy of drift; `node` leaves it to the node's own settings."""
        self._drift.order(policy, heal_after_s)
        if self._watch is not None:
            self._watch.order_policy(self._drift.rules)

    async def heal(self) -> str:
        """Undoes the drift there is now; returns why not, "" when done or there is none."""
        if self._watch is None:
            return "nginx serves no config yet"
        return await self._watch.heal_now()

    async def drift(self) -> DriftReport | None:
        """Returns how files and processes differ from what was applied; None before a look."""
        watch = self._watch
        if watch is None:
            return None
        return await self._drift.looked(watch, self._would_write, self._secrets())

    def _secrets(self) -> frozenset[str]:
        known = (one.secrets for one in (self._wanted, self._served) if one is not None)
        return frozenset().union(*known)

    async def _would_write(self, generation: int) -> dict[str, bytes] | None:
        """Returns the files of the config that is wanted, were they written now."""
        engine, candidate = self._engine, self._wanted or self._served
        if engine is None or candidate is None:
            return None
        try:
            return await engine.would_write(self._asked(candidate), Generation(generation))
        except (CannotDriveError, *_UNABLE_NOW):
            return None

    def _asked(self, candidate: Candidate) -> Wanted:
        workers = self._workers or candidate.node.workers
        return Wanted(candidate.plan, candidate.blobs, workers, candidate.node.nginx)

    async def able(self, settings: NodeSettings) -> Able | None:
        """Returns what the nginx accepts, as its own `-t` said, and how it is driven; before the
        first config by the settings alone.
        """
        engine = self._engine
        own = settings.nginx if engine is None else engine.settings
        try:
            found = (
                await aside(lambda: probed_before(self._root, own), "probe")
                if engine is None
                else await engine.capabilities()
            )
        except (CannotDriveError, *_UNABLE_NOW):
            return None
        if found is None:
            return None
        own = replace(own, imported=settings.nginx.imported)
        return Able(found.version, words(found, own))

    async def metrics(self) -> bytes | None:
        """Returns the observation of nginx; None while it is down."""
        watch = self._watch
        if watch is None or not watch.is_up:
            return None
        families = await asyncio.to_thread(watch.families)
        return "".join(map(text, families)).encode()

    def tasks(self) -> list[Coroutine[object, object, None]]:
        """Returns the tasks that watch nginx (its logs, files and life) and try again."""
        works = {
            "the watch over nginx": self._go_on,
            "the care for endpoints": self._check,
            "what tries again": self._try_again,
            "what follows names": self._follow_names,
        }
        return [kept_up(what, work, self._told) for what, work in works.items()]

    async def close(self, *, ends: bool) -> None:
        """Leaves nginx as it is, or, if we start it and the node ends, lets it finish and end."""
        engine = self._engine
        if self._watch is not None:
            self._watch.close()
        if engine is not None and ends and engine.setup.starts:
            await asyncio.to_thread(engine.instance.stop, self._drain_s)
        if self._front is not None:
            self._front.cancel()
            await asyncio.gather(self._front, return_exceptions=True)

    async def _watch_only(self, candidate: Candidate) -> Verdict:
        """Watches the nginx and applies nothing of the config."""
        settings, watcher = candidate.node.nginx, self._watcher
        if self._engine is not None:
            return _refused(candidate, self._engine.fixed_changes(settings), _FIXED)
        if watcher is None:
            self._watcher = await asyncio.to_thread(Watcher, self._root, settings, self._told)
        elif fixed := fixed_changes(watcher.settings, settings):
            return _refused(candidate, fixed, _FIXED)
        else:
            watcher.configured(settings)
        if count := sum(key.kind == "route" for key in candidate.plan.objects):
            message = f"mode observe applies nothing: {count} routes of the config are not served"
            self.on_event("warn", "nginx.not_applied", message, {})
        return Verdict()

    async def _begin(self, settings: NodeSettings) -> NginxEngine:
        engine = await asyncio.to_thread(NginxEngine, self._root, settings.nginx)
        checker = Checker(engine, self._told, self._apply_again)
        engine.front.on_wait = self._waits
        front = asyncio.create_task(engine.front.run())
        try:
            await engine.begin()
        except NotStartedError as error:
            # Not with the earlier release; the present config may mend the fault.
            self.on_event("error", "nginx.not_started", str(error), {})
        except BaseException:
            front.cancel()
            raise
        self._front = front
        self._engine = engine
        self._checker = checker
        self._keeper = Keeper(engine, self._told)
        self._keeper.order_policy(self._drift.rules)
        self._keeper.health = checker.health
        checker.listen(self._keeper.traffic)
        self._driven.set()
        return engine

    async def _apply(
        self,
        engine: NginxEngine,
        candidate: Candidate,
        applied: Callable[[], object] = lambda: None,
    ) -> Served | Rejected | list[CannotExpress]:
        """Applies a candidate, without the endpoints that take nothing now."""
        found = await engine.apply(self._asked(candidate), applied)
        if isinstance(found, Served):
            self._served = candidate
            if self._checker is not None:
                self._checker.serve(candidate.plan, candidate.blobs)
        return found

    async def _apply_again(self) -> str:
        """Applies what is served once more, because of its endpoints; returns why it cannot."""
        engine, candidate = self._engine, self._served
        if engine is None or candidate is None:
            return "nginx serves no config yet"
        try:
            async with self._applying:
                found = await self._apply(engine, self._served or candidate)
        except (CannotDriveError, *_UNABLE_NOW) as error:
            return str(error)
        if isinstance(found, Rejected):
            return found.text()
        if isinstance(found, list):
            return "; ".join(f"{one.kind} {one.name}: {one.message}" for one in found)
        if found.changed and self._keeper is not None:
            self._keeper.applied()
        return ""

    async def _check(self) -> None:
        """Checks endpoints once an nginx is driven."""
        await self._driven.wait()
        checker = self._checker
        if checker is None:
            return
        async with asyncio.TaskGroup() as group:
            for one in checker.tasks():
                group.create_task(one)

    def _waits(self, seconds: float) -> None:
        why = "node.nginx.reloads_per_minute are used up"
        self._told("warn", "nginx.waits", f"the next change waits {seconds:.0f} s: {why}", {})

    def _told(self, level: str, kind: str, message: str, fields: dict[str, str]) -> None:
        self.on_event(level, kind, message, fields)

    async def _go_on(self) -> None:
        while True:
            if self._keeper is not None:
                await self._keeper.run()
            elif self._watcher is not None:
                await self._watcher.run()
            await asyncio.sleep(_RETRY_S)

    async def _try_again(self) -> None:
        """Serves a config that was refused for a passing cause: a lock, a hold, a full disk.

        Also the first one, before which nothing watches nginx.
        """
        while True:
            await asyncio.sleep(_RETRY_S)
            is_held = self._keeper is not None and self._keeper.is_held()
            if self._tries.is_due(time.monotonic()) and not is_held:
                self._tries.begun()
                self.on_wanted()

    async def _follow_names(self) -> None:
        """Serves again what is served when names of endpoints have other addresses."""
        told = ""
        while True:
            await asyncio.sleep(_NAMES_S)
            engine = self._engine
            is_held = self._keeper is not None and self._keeper.is_held()
            if engine is None or is_held or not await asyncio.to_thread(engine.names_moved):
                continue
            why = await self._apply_again()
            if why and why == told:
                continue
            told, moved = why, "names of endpoints have other addresses"
            level = "error" if why else "info"
            self._told(level, "nginx.names", f"{moved}, but: {why}" if why else moved, {})


def _cannot(candidate: Candidate, error: CannotExpress) -> Diagnostic:
    place = candidate.locate(error.kind, error.name, error.path)
    return said(place, _unable(error))


def _unable(error: CannotExpress) -> str:
    return f"{error.message} (engine nginx)"


def _refusal(candidate: Candidate, result: Rejected) -> Verdict:
    """Returns the verdict of a release that does not serve, with the object at fault if nginx's
    words lead to one.
    """
    kind, _, name = _object(candidate, result).partition(" ")
    return Verdict(
        (_rejected(candidate, result),),
        is_undone=result.outcome is not None,
        # Without a proven release there is nothing to serve the rest beside.
        refused=()
        if result.is_degraded
        else refusals(candidate, [(kind, name, "", result.text())]),
        is_passing=result.is_transient,
    )


def _object(candidate: Candidate, result: Rejected) -> str:
    """Returns the object at fault as comments name it: `route shop`; empty if it is not known."""
    cause = result.cause
    if cause.object or cause.code not in _OF_A_LISTENER:
        return cause.object
    said = [one.text for one in (cause, *result.findings) if one.code == cause.code]
    for key, entry in candidate.plan.objects.items():
        addresses = entry.value.addresses if isinstance(entry.value, Listener) else ()
        if any(f"{address} " in text for address in addresses for text in said):
            return f"listener {key.name}"
    return ""


def _rejected(candidate: Candidate, result: Rejected) -> Diagnostic:
    """Returns the cause, at the object that its block was rendered from."""
    kind, _, name = _object(candidate, result).partition(" ")
    known = kind in ("route", "upstream", "host", "listener", "certificate", "middleware")
    place = candidate.locate(kind, name, "") if known else candidate.locate("settings", "node", "")
    return said(place, result.text())


def _refused(candidate: Candidate, keys: Iterable[str], message: str) -> Verdict:
    places = (candidate.locate("settings", "node", f"nginx.{key}") for key in keys)
    return Verdict(tuple(said(place, message) for place in places))
