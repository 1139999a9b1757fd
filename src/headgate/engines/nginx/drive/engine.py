"""Brings one nginx to a plan: renders for what its binary accepts, applies, remembers."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import msgspec

from headgate.compile.settings import NginxSettings
from headgate.engines.applies import Applies
from headgate.engines.nginx import capabilities
from headgate.engines.nginx.apply import statussocket
from headgate.engines.nginx.apply.carry import GENERATION_FILE
from headgate.engines.nginx.apply.causes import Finding
from headgate.engines.nginx.apply.front import Front, Wish
from headgate.engines.nginx.apply.guard import guarding
from headgate.engines.nginx.apply.here import remember
from headgate.engines.nginx.apply.results import Applied as Proven
from headgate.engines.nginx.apply.results import Rejected, Result
from headgate.engines.nginx.common.types import (
    CannotExpress,
    Capabilities,
    Generation,
    Rendered,
    Target,
)
from headgate.engines.nginx.drive.fixed import fixed_changes
from headgate.engines.nginx.drive.guest import check_include
from headgate.engines.nginx.drive.imported import render_config
from headgate.engines.nginx.drive.inservice import InService
from headgate.engines.nginx.drive.pins import Pins
from headgate.engines.nginx.drive.setup import Setup, make_folders, probes, setup, system_roots
from headgate.engines.nginx.drive.unable import WrongConfError
from headgate.engines.nginx.endpoints.live import LiveEndpoints
from headgate.engines.nginx.endpoints.socket import NotPushedError
from headgate.engines.nginx.endpoints.table import Table, table_of
from headgate.engines.nginx.instance import NginxInstance
from headgate.engines.nginx.releases.lock import BusyError
from headgate.engines.nginx.releases.manifest import FileEntry, Manifest
from headgate.engines.nginx.releases.store import Store
from headgate.engines.nginx.render import renumbered
from headgate.engines.nginx.render.upstreams import host_names
from headgate.engines.status import ApplyPhase, LastApply
from headgate.kernel.collector import paused
from headgate.kernel.ids import BlobId
from headgate.plan.objects import Upstream
from headgate.plan.plan import Plan, diff

Addresses = Mapping[str, tuple[str, ...]]
Out = Mapping[str, frozenset[str]]

_TRIES = 20
_BUSY_S = 0.5
_UNPROVEN = Generation(0)


class Wanted(NamedTuple):
    """A plan to serve, and the settings to do it with: in force once nginx serves it."""

    plan: Plan
    blobs: Mapping[BlobId, bytes]
    workers: int | None
    settings: NginxSettings


class _Around(NamedTuple):
    """The inputs that a rendering depends on beside the plan."""

    addresses: Addresses
    out: Out


@dataclass(frozen=True, slots=True)
class Served:
    """A plan that nginx was proven to serve; `changed` is False if it served it already.

    `waited_s`: how much of the time the apply waited to begin.
    """

    changed: bool
    notes: tuple[str, ...] = ()
    waited_s: float = 0.0


class NginxEngine:
    """Knows one nginx and the plan it serves. `root`: the folder of its releases.

    `settings` are those of the plan it serves; before the first one, those that it was made with.
    `out` says which addresses of a plan take no requests, `served_out` which ones nginx leaves out,
    `addresses` what the names of endpoints resolved to. `is_doubted` says whether nginx may serve
    edited files that are on disk no more.
    """

    def __init__(self, root: Path, settings: NginxSettings) -> None:
        """Finds out how to reach it. Raises CannotDriveError, OSError."""
        self.root = root
        self.settings = settings
        self.setup: Setup = setup(root, settings)
        here = self.setup.here
        self.instance = NginxInstance(here.place)
        self.store = Store(root, group=here.group)
        self.applies = Applies()
        self.last_generation: int | None = None
        self.applier = here.applier(root)
        self.endpoints = LiveEndpoints(root, here.settings.status_socket)
        self.front = Front(self.applier, self.setup.pace)
        self.plan = Plan()
        self.out: Callable[[Plan, Addresses], Out] = lambda _plan, _addresses: {}
        self.is_doubted: Callable[[], bool] = lambda: False
        self.served_out: Out = {}
        self.addresses: Addresses = {}
        self.in_service = InService(self.store)
        self._pins = Pins(root)
        self._capabilities: Capabilities | None = None
        self._installed = ""
        remember(root, here)

    @property
    def digest(self) -> str:
        """The digest (hex) of the plan that nginx was last proven to serve; empty = unknown."""
        return self.in_service.digest()

    def fixed_changes(self, settings: NginxSettings) -> tuple[str, ...]:
        """Returns the changed keys that need another engine."""
        return fixed_changes(self.settings, settings)

    @property
    def probed_digest(self) -> str | None:
        """The sha256 of the probed binary; None before a probe."""
        return None if self._capabilities is None else self._capabilities.binary_digest

    def version(self) -> str:
        """Returns what the binary calls itself; empty before a probe."""
        return "" if self._capabilities is None else self._capabilities.version

    def forget_capabilities(self) -> None:
        """Makes the next render probe the binary again."""
        self._capabilities = None

    def names_moved(self) -> bool:
        """Reports whether endpoints' names have other addresses than in nginx. Blocks 5 s at
        most.
        """
        return self._pins.have_moved(self.addresses)

    async def begin(self) -> None:
        """Finishes or undoes what a crash interrupted, and starts nginx if that is ours to do.

        `front.run` must be running. Raises NotStartedError, RightMissingError, OSError.
        """
        await self.front.recover()
        if self.setup.starts:
            with contextlib.suppress(BusyError):  # the process that applies now starts it
                await asyncio.to_thread(self.start)

    def start(self) -> bool:
        """Starts nginx with the last verified release, if there is one; returns whether it did.

        No apply begins meanwhile. Raises as `begin`, and BusyError during one, so as not to revert
        its link.
        """
        if self.instance.master() is not None:
            return False
        with guarding(self.root) as found:
            if self.instance.master() is not None or not found.is_safe:
                return False
            make_folders(self.root, self.setup.user)
            if self.settings.endpoints == "lua":
                self.endpoints.ensure(table_of(self.plan))
            self.instance.start()
            return True

    async def capabilities(self) -> Capabilities:
        """Returns what the binary accepts; probes again when it or a module has changed.

        Raises NotProbedError, RightMissingError, OSError.
        """
        return await asyncio.to_thread(self._probe)

    def _probe(self) -> Capabilities:
        known = self._capabilities
        if known is not None and self._is_as_probed(known):
            return known
        found = capabilities.probe(capabilities.binary_of(self.instance), self.root)
        self._capabilities, self._installed = found.capabilities, found.installed
        return found.capabilities

    def _is_as_probed(self, known: Capabilities) -> bool:
        """Reports whether the binary and the modules beside it are those of the last probe."""
        if known.binary_digest != self.instance.binary_digest():
            return False
        root, conf = self.instance.root(), self.instance.place.conf
        return self._installed == capabilities.installed(root, known.build, conf)

    async def apply(
        self, wanted: Wanted, applied: Callable[[], object] = lambda: None
    ) -> Served | Rejected | list[CannotExpress]:
        """Makes nginx serve a plan, proven, or changes nothing. `applied` is as in `Wish`.

        Raises what `capabilities` raises, and WrongConfError where a foreign nginx.conf does not
        include us.
        """
        plan, settings = wanted.plan, wanted.settings
        first, around = await self._rendered(wanted)
        digest = plan.digest.hex()
        if isinstance(first, list):
            text = "; ".join(f"{one.kind} {one.name}: {one.message}" for one in first)
            self.applies.ended(LastApply(time.time(), "rejected", digest, text))
            return first
        table = table_of(plan, around.out) if settings.endpoints == "lua" else {}

        async def serves() -> None:
            self.plan, self.settings = plan, settings
            self.addresses, self.served_out = around
            self.in_service.proven(plan, digest)
            with contextlib.suppress(OSError):  # a name too many is known
                await asyncio.to_thread(self._pins.served, around.addresses)

        if await asyncio.to_thread(self._is_served, first):
            moved = await self._move(table)
            if isinstance(moved, bool):
                await serves()
                return Served(changed=moved, notes=() if moved else first.notes)
            if moved is not None:
                return moved

        def staged(generation: Generation) -> Rendered:
            self.endpoints.keep(table, generation)
            return renumbered(first, generation)

        wish = Wish(
            render=staged,
            plan_digest=digest,
            probes=probes(settings),
            endpoints_only=_endpoints_only(self.plan, plan),
            applied=applied,
        )
        result = await self._reload(wish)
        if not isinstance(result, Proven):
            await asyncio.to_thread(self.endpoints.take_back, table)
            return result
        moved = await self._move(table)
        if isinstance(moved, bool):
            await serves()
            return Served(True, first.notes, self.front.figures.waited_s)
        return moved or _unmoved(result.generation, self.endpoints.figures.last_error)

    async def would_write(self, wanted: Wanted, number: Generation) -> dict[str, bytes] | None:
        """Returns the files of a release of this plan, by path in it, were it applied now under
        this number; None where it cannot be rendered. Raises as `apply` does.
        """
        found, _ = await self._rendered(wanted)
        if isinstance(found, list):
            return None
        return {file.path: file.content for file in renumbered(found, number).files}

    async def _rendered(self, wanted: Wanted) -> tuple[Rendered | list[CannotExpress], _Around]:
        """Renders a plan for nginx as it is, without the endpoints that take nothing now."""
        plan, settings = wanted.plan, wanted.settings
        entry = self.setup.here.settings.entry
        if entry is not None:
            await asyncio.to_thread(check_include, entry, self.root)
        await asyncio.to_thread(make_folders, self.root, self.setup.user)
        found = await self.capabilities()
        addresses = await asyncio.to_thread(self._pins.asked, named_hosts(plan))
        out = self.out(plan, addresses)
        target = self._target(found, wanted)
        target = replace(target, addresses=addresses, out=out)

        def rendered() -> Rendered | list[CannotExpress]:
            with paused():
                return render_config(plan, wanted.blobs, target, settings.imported)

        return await asyncio.to_thread(rendered), _Around(addresses, out)

    async def _reload(self, wish: Wish) -> Result:
        """Makes nginx serve a release."""
        result = await self.front.apply(wish)
        for _ in range(_TRIES):
            if not isinstance(result, Rejected) or result.cause.code != "busy":
                break
            await asyncio.sleep(_BUSY_S)  # a command has the lock
            result = await self.front.apply(wish)
        self.applies.ended(_last(result, wish.plan_digest))
        self.last_generation = result.generation or self.last_generation
        return result

    async def _move(self, wanted: Table) -> bool | Rejected | None:
        """Gives the running nginx these endpoints without a reload; returns whether any changed.

        None where it does not take them: the next reload brings them. Raises OSError.
        """
        if not await asyncio.to_thread(self.endpoints.differs, wanted):
            return False
        if (held := self.applier.held()) is not None:
            return Rejected(0, "fetch", held, (held,))
        for _ in range(_TRIES):
            try:
                await asyncio.to_thread(self.endpoints.push, wanted)
            except BusyError:
                await asyncio.sleep(_BUSY_S)
            except NotPushedError:
                return None
            else:
                return True
        return _unmoved(0, "another process applies to this nginx just now")

    def entry_problem(self) -> str:
        """Returns why a foreign nginx.conf does not include us; empty when it does, or is ours.

        Looks at the files only when nothing of ours answers.
        """
        entry = self.setup.here.settings.entry
        if entry is None or self.store.linked("current") is None or self.running() is not None:
            return ""
        try:
            check_include(entry, self.root)
        except WrongConfError as error:
            return str(error)
        return ""

    def running(self) -> int | None:
        """Returns the generation that answers on the status socket; None while none does."""
        answer = statussocket.ask(self.setup.here.settings.status_socket)
        return None if answer is None else answer.generation

    def _is_served(self, rendered: Rendered) -> bool:
        """Reports whether the running generation is `current`, untouched,
        and what would be rendered.
        """
        name = self.store.linked("current")
        if name is None or not self.store.has(name) or self.instance.master() is None:
            return False
        if self.running() != name.generation or self.store.verify(name) or self.is_doubted():
            return False
        wanted = Manifest.of(rendered, name.generation, "", 0.0)
        return _content(self.store.release(name).manifest) == _content(wanted)

    def _target(self, found: Capabilities, wanted: Wanted) -> Target:
        here, settings = self.setup.here, wanted.settings
        return Target(
            capabilities=found,
            mode=settings.mode,
            generation=_UNPROVEN,
            root=str(self.root),
            pid_path=here.place.pid_path or f"{self.root}/run/nginx.pid",
            status_socket=here.settings.status_socket,
            access_log=f"{self.root}/logs/access.log",
            error_log=here.settings.error_log,
            user=self.setup.user,
            workers=wanted.workers,
            system_roots=system_roots(),
            shutdown_timeout_s=settings.shutdown_timeout_s,
            endpoints=settings.endpoints,
        )


def named_hosts(plan: Plan) -> Iterable[str]:
    """Returns the names that endpoints of a plan have in place of addresses."""
    values = (entry.value for entry in plan.objects.values())
    return host_names(one for one in values if isinstance(one, Upstream))


def _last(result: Result, digest: str) -> LastApply:
    now = time.time()
    if isinstance(result, Proven):
        text = "; ".join(result.caveats)
        return LastApply(now, "serving", digest, text, result.reload_s, result.verified_s)
    # What had changed is undone, also where nginx could not be told so: its state says that.
    phase: ApplyPhase = "rejected" if result.outcome is None else "rolled-back"
    return LastApply(now, phase, digest, result.text())


def _unmoved(generation: int, why: str) -> Rejected:
    finding = Finding("endpoints", why, is_transient=True)
    return Rejected(generation, "verify", finding, (finding,))


def _content(manifest: Manifest) -> frozenset[FileEntry]:
    """Returns the files of a release without the one that differs between any two."""
    return frozenset(one for one in manifest.files if one.path != GENERATION_FILE)


def _endpoints_only(old: Plan, new: Plan) -> bool:
    """Reports whether two plans differ in endpoints of upstreams alone."""
    delta = diff(old, new)
    if delta.deletes or not delta.puts:
        return False
    for entry in delta.puts:
        before = old.objects.get(entry.key)
        if before is None or not isinstance(before.value, Upstream):
            return False
        after = entry.value
        if not isinstance(after, Upstream):
            return False
        if msgspec.structs.replace(before.value, endpoints=after.endpoints) != after:
            return False
    return True
