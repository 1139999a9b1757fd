"""Watches over one nginx between applies: its logs, its files, its life."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Final

from headgate.engines.nginx.apply.bootsafe import BootSafe, DiskTests, boot_safe, with_disk
from headgate.engines.nginx.apply.hold import BadHoldError, read_hold
from headgate.engines.nginx.checks.table import Healths
from headgate.engines.nginx.common.drifted import DriftReport
from headgate.engines.nginx.common.types import Process, RightMissingError
from headgate.engines.nginx.drift import (
    Artefacts,
    DriftWatch,
    Finding,
    Policy,
    Rules,
    Sides,
    Standing,
    reported,
)
from headgate.engines.nginx.drive.engine import NginxEngine
from headgate.engines.nginx.health.background import kept_up
from headgate.engines.nginx.health.figures import endpoints, of_health
from headgate.engines.nginx.health.life import Life
from headgate.engines.nginx.health.state import state_of
from headgate.engines.nginx.health.told import Tell, told_lines
from headgate.engines.nginx.health.trouble import Health, trouble
from headgate.engines.nginx.instance import SeveralMastersError
from headgate.engines.nginx.instance.procfs import Procfs, started_at
from headgate.engines.nginx.instance.running import NotStartedError
from headgate.engines.nginx.observe.error_log import Told
from headgate.engines.nginx.observe.family import Family
from headgate.engines.nginx.observe.histogram import seconds
from headgate.engines.nginx.observe.observer import POLL_S, AccessLog, Observer, Sources
from headgate.engines.nginx.observe.traffic import Traffic
from headgate.engines.nginx.releases.lock import BusyError
from headgate.engines.nginx.upkeep.figures import own_families
from headgate.engines.nginx.upkeep.mender import Mender
from headgate.engines.nginx.upkeep.reopen import NotReopenedError, reopen
from headgate.engines.nginx.upkeep.rotation import rotate
from headgate.engines.status import EngineStatus, NginxStatus
from headgate.engines.types import UpstreamStatus

_LIFE_S: Final = 0.5
_RESTART_MOST_S: Final = 10.0
_REOPEN_S: Final = 30.0
_HIDDEN: Final = (RightMissingError, SeveralMastersError)
_NOT_BACK: Final = "nginx could not go back to the release before the last apply"


class Keeper:
    """One engine's watch. `tell` is given level, kind, message and fields of what happens;
    `health` says what is known of endpoints.
    """

    def __init__(self, engine: NginxEngine, tell: Tell) -> None:
        here = engine.setup.here
        instance = engine.instance
        self.starts = 0
        self.health: Callable[[], Healths] = lambda: {}
        self._engine = engine
        self._tell = tell
        self._ordered: Rules | None = None
        self._boot_safe: BootSafe | None = None
        self._disk = DiskTests(instance)
        self._unseen = ""
        self._entry_problem = ""
        self._log_problem = ""
        self._life = Life(self._master())
        self._health = Health(tell)
        self._reopen_at = 0.0
        self._access_log = Path(engine.root, "logs/access.log")
        self._observer = Observer(
            Sources(
                access_logs=(AccessLog(str(self._access_log)),),
                error_logs=(here.settings.error_log,),
                stub_status=f"unix:{here.settings.status_socket}:/stub_status",
                generation_socket=here.settings.status_socket,
                processes=lambda: (self._master(), self._workers()),
            )
        )
        self._observer.bounds_s = seconds(engine.settings.latency_bounds_us)
        self.mender = Mender(engine, tell)
        self._drift = DriftWatch(
            world=self.mender,
            acts=self.mender,
            rules=self._rules(),
            artefacts=Artefacts(engine.root / "drift"),
            original=self.mender.original,
            held=self.is_held,
        )

    async def run(self) -> None:
        """Watches until cancelled."""
        works = {
            "the watch over its logs": self._follow_logs,
            "the watch over its life": self._follow_life,
            "the watch for drift": self._drift.run,
        }
        async with asyncio.TaskGroup() as group:
            for what, work in works.items():
                group.create_task(kept_up(what, work, self._tell))

    @property
    def traffic(self) -> Traffic:
        """The traffic that the access log shows."""
        return self._observer.traffic

    @property
    def is_up(self) -> bool:
        """True if a master was there when we last looked."""
        return self._life.is_up

    def unready(self) -> str:
        """Returns why it cannot serve or reload now; empty when all is well."""
        if self._unseen or not self.is_up:
            return self._unseen or "nginx does not answer: no master runs"
        return self._health.trouble

    def applied(self) -> None:
        """Forgets earlier looks after a release was served: they say nothing about it."""
        self._life.ours(self._master())
        self._health.is_well()
        self.mender.remember_workers()
        self._drift.wake()

    def order_policy(self, rules: Rules | None) -> None:
        """Takes a fleet's policy of drift in place of the node's settings; None: those count."""
        self._ordered = rules
        self.configured()

    async def heal_now(self) -> str:
        """Heals drift now; returns why it did not, "" when it did or there is none."""
        return await self._drift.heal()

    @property
    def finding(self) -> Finding | None:
        """The finding of the last look; None before the first."""
        return self.mender.finding

    def standing(self) -> Standing:
        """Returns what is done about drift now, and what keeps it from being done."""
        policy = str(self._drift.rules.policy)
        return Standing(policy, self._held_by(), self.mender.alarm_text)

    def drift(
        self, now: Mapping[str, bytes] | None, secrets: Collection[str]
    ) -> DriftReport | None:
        """Returns how it differs, with files three ways; `now` is what would be written, by path in
        the release. None before the first look. Blocks; raises OSError.
        """
        finding, desired = self.finding, self.mender.desired()
        if finding is None or desired is None:
            return None
        sides = Sides(self.mender.original, now, secrets)
        return reported(finding, desired, self.mender.seen, sides, self.standing())

    def _held_by(self) -> str:
        """Returns whose hold there is and why, without how long it lasts: that always changes."""
        try:
            hold = read_hold(self._engine.root)
        except BadHoldError as error:
            return str(error)
        by = f" by {hold.by}" if hold is not None and hold.by else ""
        return "" if hold is None else f"held{by}: {hold.reason}"

    def configured(self) -> None:
        """Takes over the engine's new settings."""
        self._observer.bounds_s = seconds(self._engine.settings.latency_bounds_us)
        rules = self._rules()
        if rules != self._drift.rules:
            self._drift.rules = rules
            self._drift.wake()

    def families(self) -> list[Family]:
        """Returns the metrics now. Blocks."""
        name = self._engine.store.linked("known_good")
        desired = None if name is None else name.generation
        return [
            *self._observer.page(desired),
            *of_health(self.health()),
            *own_families(self._engine, self.mender, self.starts, self._life.restarts),
        ]

    def upstreams(self) -> list[UpstreamStatus]:
        """Returns every endpoint of the plan that is served,
        with what the access log says of it.
        """
        plan = self._engine.in_service.plan()
        return endpoints(plan, self._observer.traffic.backends, self.health())

    def status(self) -> EngineStatus:
        """Returns its present status. Blocks."""
        engine = self._engine
        master = self._master()
        workers = self._workers() if master is not None else ()
        finding = self.mender.finding
        about = self._about(sum(one.shutting_down for one in workers))
        state, why = state_of(
            runs=master is not None,
            trouble=_NOT_BACK if engine.front.figures.degraded else self.unready(),
            serves=about.running is not None,
            has_release=about.desired is not None,
        )
        return EngineStatus(
            kind="nginx",
            state=state,
            why=why,
            version=engine.version(),
            pid=None if master is None else master.pid,
            started_at=started_at(master),
            workers=sum(not one.shutting_down for one in workers),
            digest=engine.digest,
            since=engine.applies.since(engine.digest),
            last_apply=engine.applies.last,
            drift=None if finding is None else finding.text(),
            upstreams=self.upstreams(),
            nginx=about,
        )

    def _about(self, draining: int) -> NginxStatus:
        """Returns what only an nginx has."""
        engine, store = self._engine, self._engine.store
        current, good = store.linked("current"), store.linked("known_good")
        safe = self._is_boot_safe()
        figures = engine.front.figures
        return NginxStatus(
            root=str(engine.root),
            mode=engine.settings.mode,
            draining=draining,
            desired=None if good is None else good.generation,
            on_disk=None if current is None else current.generation,
            running=engine.running(),
            last_generation=engine.last_generation,
            boot_safe=safe.is_safe,
            start=engine.settings.start,
            conf=engine.setup.here.place.conf,
            hold=self._hold(),
            warning="; ".join(self._warnings(safe)),
            applied=figures.applied,
            rejected=figures.rejected,
            restarts=self._life.restarts,
            endpoint_updates=engine.endpoints.figures.applied,
            endpoint_error=engine.endpoints.figures.last_error,
            waits_s=engine.front.waits_s(),
        )

    def close(self) -> None:
        """Closes the logs."""
        self._observer.close()

    def _warnings(self, safe: BootSafe) -> list[str]:
        unsafe = "" if safe.is_safe else safe.why
        other = self._engine.in_service.other()
        turned = f"release {other} is served, not the config that was read last" if other else ""
        health = self._health.trouble
        nginx = (self.mender.alarm_text, self._unseen, self._entry_problem, health)
        every = (*nginx, self._log_problem, turned, unsafe)
        return [why for why in every if why]

    def _is_boot_safe(self) -> BootSafe:
        setup = self._engine.setup
        found = self._boot_safe
        if found is None or not found.is_safe:
            found = self._boot_safe = boot_safe(
                self._engine.root,
                self._master(),
                setup.here.place.unit,
                we_start_it=setup.starts,
            )
        return with_disk(found, self._disk_problem)

    def _disk_problem(self) -> str:
        name = self._engine.store.linked("known_good")
        here = self._engine.setup.here
        return self._disk.problem(None if name is None else str(name), here.place.conf)

    def _hold(self) -> str:
        try:
            hold = read_hold(self._engine.root)
        except BadHoldError as error:
            return str(error)
        return "" if hold is None else hold.text(time.time())

    def is_held(self) -> bool:
        """Reports whether a person's hold keeps it as it is."""
        return bool(self._hold())

    async def _follow_logs(self) -> None:
        while True:
            told_lines(self._tell, await asyncio.to_thread(self._read_logs))
            await asyncio.sleep(POLL_S)

    def _read_logs(self) -> list[Told]:
        found = self._observer.poll()
        self._rotate()
        return found

    def _rotate(self) -> None:
        """Keeps the access log within its bound, or reports once that it cannot."""
        problem = ""
        try:
            rotate(self._access_log, self._engine.instance)
        except OSError as error:
            problem = f"the access log for the metrics cannot be rotated: {error}"
        if problem != self._log_problem:
            self._log_problem = problem
            level, kind = ("error", "not_rotated") if problem else ("info", "rotated")
            text = problem or "the access log for the metrics can be rotated again"
            self._tell(level, f"nginx.log_{kind}", text, {})

    async def _follow_life(self) -> None:
        """Notices that nginx is gone, and starts it again where that is ours to do."""
        wait = _LIFE_S
        while True:
            await asyncio.sleep(wait)
            await asyncio.to_thread(self._look)
            wait = _LIFE_S
            if not self.is_up and not self._unseen and self._engine.setup.starts:
                wait = await asyncio.to_thread(self._start)

    def _look(self) -> None:
        """Looks at the master, and at whether a foreign config still includes us."""
        master = self._master()
        if self._unseen:
            return
        with contextlib.suppress(SeveralMastersError):  # since just now: the next look reports it
            self._compare(master)

    def _compare(self, master: Process | None) -> None:
        """Reports what is another than at the look before."""
        is_upgrading = master is not None and self._engine.instance.is_upgrading()
        for news in self._life.saw(master, is_upgrading=is_upgrading):
            self._tell(*news, {})
            self._boot_safe = None
        self._examine(master)
        problem = self._engine.entry_problem()
        if problem != self._entry_problem:
            self._entry_problem = problem
            level, kind = ("error", "nginx.not_included") if problem else ("info", "nginx.included")
            self._tell(level, kind, problem or "nginx.conf includes the releases again", {})

    def _examine(self, master: Process | None) -> None:
        """Looks at its workers and its status socket once a release of ours should serve."""
        if master is None or self._engine.store.linked("known_good") is None:
            return
        socket = self._engine.setup.here.settings.status_socket
        # A foreign nginx.conf that does not include us has a message of its own.
        asked = None if self._entry_problem else socket
        self._health.saw(trouble(master, self._engine.instance.workers(), asked, Procfs()))
        if self._health.trouble and asked is not None and not Path(socket).is_socket():
            self._reopen()

    def _reopen(self) -> None:
        """Has nginx make the status socket again, not more often than makes sense."""
        if time.monotonic() < self._reopen_at:
            return
        self._reopen_at = time.monotonic() + _REOPEN_S
        try:
            reopen(self._engine)
        except (BusyError, NotReopenedError, *_HIDDEN, OSError) as error:
            self._tell("error", "nginx.not_reopened", f"the status socket: {error}", {})
        else:
            self._tell("warn", "nginx.reopened", "the status socket was made again", {})
            self.mender.remember_workers()

    def _master(self) -> Process | None:
        """Returns the master; None, reported once, where several may be it."""
        try:
            master = self._engine.instance.master()
        except _HIDDEN as error:
            if str(error) != self._unseen:
                self._unseen = str(error)
                self._tell("error", "nginx.unseen", self._unseen, {})
            return None
        self._unseen = ""
        return master

    def _workers(self) -> tuple[Process, ...]:
        """Returns the workers; none where several masters may be it."""
        try:
            return self._engine.instance.workers()
        except SeveralMastersError:
            return ()

    def _start(self) -> float:
        """Starts nginx with the last verified release; returns the seconds until the next look."""
        try:
            if not self._engine.start():
                return _RESTART_MOST_S
        except BusyError:
            return _LIFE_S  # the process that applies starts it, or we do afterwards
        except (NotStartedError, *_HIDDEN, OSError) as error:
            self._tell("error", "nginx.not_started", str(error), {})
            return _RESTART_MOST_S
        self.starts += 1
        self._life.ours(self._master())
        release = self._engine.store.linked("current")
        self._tell("warn", "nginx.restarted", f"nginx was started again on {release}", {})
        self.mender.remember_workers()
        return _LIFE_S

    def _rules(self) -> Rules:
        settings = self._engine.settings
        return self._ordered or Rules(Policy(settings.drift_policy), settings.heal_after_s)
