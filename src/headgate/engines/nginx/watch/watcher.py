"""Watches a foreign nginx and changes nothing: its life, its logs, its files, its certificates.

The files on disk may differ from what runs until somebody reloads it; that is the drift here.
"""

import asyncio
import dataclasses
import threading
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from headgate.compile.settings import NginxSettings
from headgate.engines.nginx.common.drifted import DriftReport
from headgate.engines.nginx.common.types import Process
from headgate.engines.nginx.drift import (
    Artefact,
    Artefacts,
    Binary,
    Desired,
    DriftWatch,
    Finding,
    Policy,
    Reloads,
    Rules,
    Seen,
    Sides,
    Standing,
    reported,
)
from headgate.engines.nginx.drift import Running as Serves
from headgate.engines.nginx.drive.guest import running_with
from headgate.engines.nginx.health.background import kept_up
from headgate.engines.nginx.health.figures import certificates, drifting, reloaded, restarted
from headgate.engines.nginx.health.life import Life
from headgate.engines.nginx.health.state import state_of
from headgate.engines.nginx.health.told import Tell, told_lines
from headgate.engines.nginx.health.trouble import trouble
from headgate.engines.nginx.instance.procfs import Procfs, started_at
from headgate.engines.nginx.observe.error_log import Told
from headgate.engines.nginx.observe.family import Family
from headgate.engines.nginx.observe.histogram import seconds
from headgate.engines.nginx.observe.masters import Running, processes
from headgate.engines.nginx.observe.observer import POLL_S
from headgate.engines.nginx.watch.adoption import certificates_of
from headgate.engines.nginx.watch.sight import Sight, certificate_statuses, changed, look_at
from headgate.engines.status import CertificateStatus, EngineStatus, NginxStatus
from headgate.engines.types import UpstreamStatus

_LIFE_S: Final = 0.5
_SEARCH_S: Final = 2.0
_CERTIFICATES_S: Final = 600.0
_NAMED: Final = 5
_NOTHING_WRITTEN: Final = "nothing is written in mode observe"


class NothingIsWrittenError(Exception):
    """A caller asked for a change of a watched nginx."""


class Watcher:
    """The watch over one nginx; the world and the acts of its `DriftWatch`. Methods may block."""

    def __init__(self, root: Path, settings: NginxSettings, tell: Tell) -> None:
        """Looks once. `root`: our own folder."""
        self.settings = settings
        self._root = root
        self._tell = tell
        self._sight: Sight | None = None
        self._life = Life(None)
        self._reloads = Reloads()
        self._reloaded = 0
        self._finding: Finding | None = None
        self._seen = Seen()
        self._problem = ""
        self._reading = threading.Lock()
        self._certificates: tuple[CertificateStatus, ...] = ()
        self._drift = DriftWatch(
            world=self,
            acts=self,
            rules=_rules(settings),
            artefacts=Artefacts(root / "drift"),
            original=self._original,
            held=lambda: False,
        )
        self._look()

    @property
    def finding(self) -> Finding | None:
        """The finding of the last look at its files; None before the first."""
        return self._finding

    def order_policy(self, rules: Rules | None) -> None:
        """Does nothing: whatever a fleet wants, nothing is written in mode observe."""
        del rules

    async def heal_now(self) -> str:
        """Returns why nothing is healed here."""
        return _NOTHING_WRITTEN

    def standing(self) -> Standing:
        """Returns what is done about drift: it is reported."""
        return Standing(str(Policy.REPORT))

    def drift(
        self, now: Mapping[str, bytes] | None, secrets: Collection[str]
    ) -> DriftReport | None:
        """Returns how its files differ from what it read; `now` counts for nothing, for nothing
        would be written.
        """
        del now
        finding, desired = self._finding, self.desired()
        if finding is None or desired is None:
            return None
        sides = Sides(self._original, None, secrets)
        return reported(finding, desired, self._seen, sides, self.standing())

    def _original(self, path: str) -> bytes | None:
        return self._sight.texts.get(path) if self._sight else None

    @property
    def is_up(self) -> bool:
        """True if the last look found a master that it could examine."""
        return self._life.is_up

    def unready(self) -> str:
        """Returns why the watched nginx does not serve; empty when it does."""
        if not self.is_up:
            return "nginx does not answer: no master runs"
        master, workers = self._processes()
        return trouble(master, tuple(workers), None, Procfs())

    async def run(self) -> None:
        """Watches until cancelled."""
        works = {
            "the watch over its life": self._follow_life,
            "the watch over its logs": self._follow_logs,
            "the watch over its certificates": self._follow_certificates,
            "the watch for drift": self._drift.run,
        }
        async with asyncio.TaskGroup() as group:
            for what, work in works.items():
                group.create_task(kept_up(what, work, self._tell))

    def configured(self, settings: NginxSettings) -> None:
        """Takes over what may change while it runs."""
        self.settings = settings
        self._measure()
        self._drift.rules = _rules(settings)
        self._drift.wake()

    def families(self) -> list[Family]:
        """Returns the metrics now."""
        sight = self._sight
        if sight is None:
            return []
        finding = self._finding
        return [
            *sight.adoption.meter.observer.page(),
            restarted(self._life.restarts),
            reloaded(self._reloaded),
            drifting(finding is not None and finding.is_drift),
            *certificates(self._certificates, time.time()),
        ]

    def upstreams(self) -> list[UpstreamStatus]:
        """Returns the upstreams of its config with what its access logs say of them."""
        return self._sight.upstreams() if self._sight is not None else []

    def status(self) -> EngineStatus:
        """Returns its present status."""
        sight = self._sight
        master, workers = self._processes()
        state, why = state_of(
            runs=self.is_up, trouble=self.unready(), serves=True, has_release=False
        )
        return EngineStatus(
            kind="nginx",
            state=state,
            why=why,
            version=sight.running.built_in.version if sight is not None else "",
            pid=None if master is None else master.pid,
            started_at=started_at(master),
            workers=sum(not one.shutting_down for one in workers),
            drift=self._finding.text() if self._finding is not None else None,
            upstreams=self.upstreams(),
            nginx=NginxStatus(
                root=str(self._root),
                mode="observe",
                draining=sum(one.shutting_down for one in workers),
                start=self.settings.start,
                conf=sight.running.conf if sight is not None else self.settings.conf or "",
                warning="; ".join(self._warnings()),
                restarts=self._life.restarts,
                certificates=self._certificates,
            ),
        )

    def close(self) -> None:
        """Closes the logs."""
        if self._sight is not None:
            self._sight.adoption.meter.observer.close()

    # The world of its drift.

    def desired(self) -> Desired | None:
        """Returns its files as they were when it read them, as far as we saw."""
        return self._sight.desired if self._sight is not None else None

    def running(self) -> Serves | None:
        """Returns None: foreign reloads are not drift here."""
        return None

    def binary(self) -> Binary | None:
        """Returns the binary on disk and the running one."""
        return self._sight.binary_now() if self._sight is not None else None

    def is_applying(self) -> bool:
        """Returns False: we never apply here."""
        return False

    # The acts of its drift.

    def report(self, finding: Finding) -> None:
        """Reports a finding that differs from the one before."""
        self._seen.saw(finding, time.time())
        self._finding = finding
        self._tell("warn" if finding.is_drift else "info", "nginx.drift", finding.text(), {})

    def heal(self, finding: Finding, artefact: Artefact) -> None:
        """Raises NothingIsWrittenError: the policy that asks for it is refused in a config."""
        raise NothingIsWrittenError(_NOTHING_WRITTEN)

    def reprobe(self) -> None:
        """Reports that the next start or upgrade runs another binary."""
        message = "the nginx binary on disk is another one than the one that runs"
        self._tell("info", "nginx.binary_changed", message, {})

    def alarm(self, text: str | None) -> None:
        """Reports that it cannot look."""
        if text is not None:
            self._tell("error", "nginx.alarm", text, {})

    # The watches.

    async def _follow_life(self) -> None:
        while True:
            await asyncio.sleep(_LIFE_S if self.is_up else _SEARCH_S)
            if await asyncio.to_thread(self._look):
                self._drift.wake()

    async def _follow_logs(self) -> None:
        while True:
            told_lines(self._tell, await asyncio.to_thread(self._read_logs))
            await asyncio.sleep(POLL_S)

    async def _follow_certificates(self) -> None:
        while True:
            await asyncio.sleep(_CERTIFICATES_S)
            await asyncio.to_thread(self._look_at_certificates)

    def _read_logs(self) -> list[Told]:
        with self._reading:
            return self._sight.adoption.meter.observer.poll() if self._sight is not None else []

    def _look(self) -> bool:
        """Looks for its master and its workers; returns whether it looked at everything anew."""
        master, workers = self._processes()
        if self._sight is not None and master is not None:
            if not self._reloads.is_foreign(workers):
                return False
            self._reloaded += 1
            return self._see(self._sight.running, self._sight.desired)
        found = running_with(self.settings.conf, self.settings.pid)
        # It counts as up only after a look, so that the status then has its facts.
        seen = found.master if found is not None and self._see(found) else None
        for news in self._life.saw(seen):
            self._tell(*news, {})
        return seen is not None

    def _see(self, running: Running, before: Desired | None = None) -> bool:
        """Looks at everything; `before` is the sight until a reload."""
        try:
            sight = look_at(running)
        except OSError as error:
            self._trouble(f"it cannot be looked at: {error}")
            return False
        self._trouble("")
        with self._reading:
            self._sight = _carried(self._sight, sight)
            self._measure()
        self._reloads.ours(self._processes()[1])
        if before is not None:
            files = changed(before, sight.desired)
            more = f" and {len(files) - _NAMED} more" if len(files) > _NAMED else ""
            what = f"changed: {', '.join(files[:_NAMED])}{more}" if files else "no file changed"
            self._tell("info", "nginx.reloaded", f"nginx was reloaded by others; {what}", {})
        self._take_certificates()
        return True

    def _look_at_certificates(self) -> None:
        sight = self._sight
        if sight is not None and self.is_up:
            adoption = sight.adoption
            views, found = certificates_of(adoption.running, adoption.facts.servers)
            again = dataclasses.replace(adoption, certificates=views, certificate_findings=found)
            if self._sight is sight:  # else another look came first
                self._sight = dataclasses.replace(sight, adoption=again)
                self._take_certificates()

    def _take_certificates(self) -> None:
        """Reports new problems of a certificate."""
        if self._sight is None:
            return
        found = certificate_statuses(self._sight.adoption)
        known = {(one.path, text) for one in self._certificates for text in one.problems}
        for one in found:
            for text in one.problems:
                if (one.path, text) not in known:
                    self._tell("warn", "nginx.certificate", f"{one.path}: {text}", {})
        self._certificates = found

    def _processes(self) -> tuple[Process | None, list[Process]]:
        return processes(self._sight.running, Procfs()) if self._sight else (None, [])

    def _measure(self) -> None:
        """Has latencies counted in the buckets of the settings."""
        if self._sight is not None:
            bounds_s = seconds(self.settings.latency_bounds_us)
            self._sight.adoption.meter.observer.bounds_s = bounds_s

    def _trouble(self, why: str) -> None:
        if why and why != self._problem:
            self._tell("error", "nginx.unseen", why, {})
        self._problem = why

    def _warnings(self) -> list[str]:
        if self._sight is None:
            where = self.settings.conf or "any config"
            return [self._problem or f"no nginx master with {where} was found, or more than one"]
        adoption = self._sight.adoption
        logs = (
            f"{one.path} is not followed: {one.problem}" for one in adoption.logs if one.problem
        )
        found = [self._problem, *adoption.facts.problems, *adoption.notes, *logs]
        return [one for one in found if one]


def _carried(old: Sight | None, new: Sight) -> Sight:
    """Returns the new sight with the old one's counts and places in the logs."""
    if old is None:
        return new
    before, after = old.adoption.meter.observer, new.adoption.meter.observer
    if old.follows_same_logs(new):
        before.sources = after.sources
        after.close()
        new.adoption.meter.observer = before
        return new
    before.poll()
    before.close()
    after.traffic, after.errors = before.traffic, before.errors
    return new


def _rules(settings: NginxSettings) -> Rules:
    return Rules(Policy(settings.drift_policy), settings.heal_after_s)
