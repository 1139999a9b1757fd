"""An agent: enrols once, holds a session with its master, and says how it stands."""

import asyncio
import contextlib
import functools
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
import structlog

from headgate.engines.status import CertificateStatus, EngineStatus
from headgate.fleet import agent_events as ev
from headgate.fleet import frames as fr
from headgate.fleet.agent_session import AgentFacts, AgentSession, State
from headgate.fleet.orders import UPGRADE, OrderBody
from headgate.fleet.pacing import Jitter
from headgate.fleet.searches import LOGS, LogSearch
from headgate.kernel.diagnostics import has_errors
from headgate.node.agent.about import MasterStatus, RevisionStatus
from headgate.node.agent.applying import Applying, fault_of, quarantine_fault
from headgate.node.agent.background import kept_up
from headgate.node.agent.carrier import Carrier
from headgate.node.agent.counterpart import Counterpart
from headgate.node.agent.drifting import ORDERS, FleetDrift
from headgate.node.agent.driver import Disk, SessionDriver
from headgate.node.agent.enrolling import EnrolmentError, Office
from headgate.node.agent.inventory import inventory_of
from headgate.node.agent.noticing import noticed
from headgate.node.agent.remembered import Remembered
from headgate.node.agent.renewing import Renewed
from headgate.node.agent.saying import said_of
from headgate.node.agent.searching import Searches
from headgate.node.agent.source import MasterSource
from headgate.node.agent.starts import STEADY_S, Starts
from headgate.node.agent.upgrading import Upgrading
from headgate.node.agent.url import MasterUrl
from headgate.node.events import EventLog
from headgate.node.pipeline import Pipeline
from headgate.node.ports import Candidate, MasterRefusesError
from headgate.node.results import ReloadResult
from headgate.providers.master.identity import Identity, IdentityError, IdentityStore
from headgate.providers.master.incoming import Incoming
from headgate.providers.master.store import BundleStore

_log = structlog.get_logger()
_FIGURES_S: Final = 15.0
_AGAIN_S: Final = 60.0
_SAYING_S: Final = 15.0
"""The time that a process that fails at each start waits for its master before it goes on."""
_DESCRIBED_S: Final = 60.0
"""The interval of checks whether the engine can do something else: its binary was replaced."""


Dial = Callable[[Identity], Awaitable[Carrier]]
Figures = Callable[[], Awaitable[ev.Summary]]
Describe = Callable[[], Awaitable[fr.Instance | None]]
"""Says which engine the node drives and what it can do; None: it cannot be asked now."""
AskEngine = Callable[[], Awaitable[EngineStatus]]


class Parts:
    """The parts of an agent, for one state directory."""

    def __init__(
        self,
        url: MasterUrl,
        identities: IdentityStore,
        store: BundleStore,
        incoming: Incoming,
        source: MasterSource,
    ) -> None:
        self.url = url
        self.identities = identities
        self.store = store
        self.incoming = incoming
        self.source = source


class Agent:
    """The master's side of a node, for as long as its control process lives."""

    def __init__(
        self,
        parts: Parts,
        pipeline: Pipeline,
        office: Office,
        dial: Dial,
        instance: fr.Instance,
        upgrading: Upgrading,
    ) -> None:
        self._parts = parts
        self._pipeline = pipeline
        self._office = office
        self._dial = dial
        self._instance = instance
        self._upgrading = upgrading
        self._remembered = Remembered(parts.identities.folder)
        self._starts = Starts(parts.identities.folder)
        self._starts.begun()
        self._began = time.monotonic()
        self._was_live = asyncio.Event()
        self._applying = Applying(pipeline, parts.source, parts.store, parts.incoming)
        self._identity: Identity | None = None
        self._driver: SessionDriver | None = None
        self._last_error = ""
        self._renew_at = 0.0
        """The renewal time that the master wants, by the clock that never goes back; 0: none."""
        self._renewed = Renewed()
        self._wanted = asyncio.Event()
        self.events: EventLog | None = None
        self.figures: Figures | None = None
        self.describe: Describe | None = None
        self.engine: AskEngine | None = None
        self.applied = self._applying.applied
        self.searches: Searches | None = None
        self.drift: FleetDrift | None = None
        """Of a node whose engine is nginx."""
        self.counterpart: Counterpart | None = None
        """Of a node whose data plane has a certificate of the fleet, too."""

    async def run(self) -> None:
        """Enrols if need be, then holds sessions until cancelled. A disk that takes nothing, or has
        a damaged identity, is tried again; meanwhile the node serves what it has.

        Raises MasterRefusesError if the token is refused.
        """
        self._upgrading.on_step = lambda text: self._event("info", "master.upgrading", text)
        self._upgrading.on_ended = self._upgrade_ended
        self._upgrading.begin()
        while True:
            try:
                await self._holding()
            except* OSError as group:
                self._failed("the disk", group.exceptions[0])
            except* IdentityError as group:
                self._failed("the identity", group.exceptions[0])
            await asyncio.sleep(_AGAIN_S)

    async def keep_identity(self) -> None:
        """See MasterSide."""
        while True:
            try:
                self._identity = await self._enrolled()
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._renewals(None))
                    group.create_task(self._counterparts())
            except* OSError as group:
                self._failed("the disk", group.exceptions[0])
            except* IdentityError as group:
                self._failed("the identity", group.exceptions[0])
            await asyncio.sleep(_AGAIN_S)

    @property
    def fails_to_start(self) -> bool:
        """See MasterSide."""
        return self._starts.failed >= fr.FAILING_STARTS

    async def said_failing(self) -> None:
        """See MasterSide."""
        times = self._starts.failed
        self._event("error", "control.failing", f"the last {times} starts of the node did not last")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SAYING_S):
                await self._was_live.wait()

    def left(self) -> None:
        """See MasterSide."""
        self._starts.lasted()

    async def _holding(self) -> None:
        identity = self._identity = await self._enrolled()
        session = await asyncio.to_thread(self._session, identity)
        signs = await asyncio.to_thread(self._remembered.signs_upgrades, identity.agent)
        session.signs_upgrades = signs
        driver = SessionDriver(
            session, self._dialled, Disk(self._parts.store, self._parts.incoming), self._applying
        )
        driver.on_state = self._told
        driver.on_handled = self._remember
        driver.on_renew = self._renew_within
        driver.on_upgrade = self._upgrading.order
        session.upgrade_ended = self._upgrading.ended
        driver.on_order = self._ordered
        session.identity = said_of(identity)
        session.failed_starts = self._starts.failed
        self._driver = driver
        if self.drift is not None:
            await asyncio.to_thread(self.drift.recall, identity.agent)
        async with asyncio.TaskGroup() as group:
            group.create_task(driver.run())
            group.create_task(self._renewals(driver))
            for what, work in (
                ("figures", self._summaries),
                ("descriptions", self._descriptions),
                ("drift", self._drifts),
            ):
                group.create_task(kept_up(what, functools.partial(work, driver)))
            group.create_task(self._notices(driver))
            group.create_task(self._lasts(driver))
            group.create_task(self._counterparts())

    def happened(self, result: ReloadResult) -> None:
        """Tells the master of a run that it did not ask for, if that changed what is served."""
        driver, last = self._driver, self._parts.source.last
        if driver is None or last is None or self._applying.is_busy:
            return
        held = driver.session.work.held
        version = fr.Version(last.revision, last.hash)
        if result.is_ok:
            fault = quarantine_fault(self._pipeline.served, result)
            if held.serving != version or fault != driver.session.work.quarantine:
                driver.post(ev.Noticed(version, fr.Phase.SERVING, fault, result.digest))
        elif has_errors(result.diagnostics) and held.serving == version and result.is_undone:
            fault = fault_of(result)
            driver.post(ev.Noticed(version, fr.Phase.ROLLED_BACK, fault, result.digest))

    def status(self) -> MasterStatus:
        """Returns how the agent stands with its master."""
        ended = self._upgrading.ended
        found = MasterStatus(
            url=str(self._parts.url),
            last_error=self._last_error,
            skipped=dict(self._parts.store.skipped),
            held=self._parts.store.revisions(),
            upgrade_error=_why(ended) if ended is not None and ended.text else "",
        )
        identity, driver = self._identity, self._driver
        if identity is None or driver is None:
            return found
        held = driver.session.work.held
        return msgspec.structs.replace(
            found,
            agent=identity.agent,
            scope=held.scope,
            state=driver.session.state.value,
            acknowledged=_version(held.acknowledged),
            applied=_version(held.applied),
            serving=_version(held.serving),
            refused=_version(held.refused),
            last_contact_at=driver.contact.last_at,
            last_error=self._last_error or driver.contact.last_error,
            certificate_not_after=identity.not_after,
            dials=driver.contact.dials,
        )

    async def _enrolled(self) -> Identity:
        jitter = Jitter(random.random)
        while True:
            found = await asyncio.to_thread(self._parts.identities.identity)
            if found is not None:
                return found
            try:
                identity = await self._office.enrol()
            except EnrolmentError as error:
                if error.is_final:
                    self._failed("enrolment", error)
                    raise MasterRefusesError(str(error)) from error
                self._failed("enrolment", error)
                await asyncio.sleep(jitter.wait_s())
                continue
            await asyncio.to_thread(self._parts.identities.keep, identity)
            self._last_error = ""
            self._event("info", "master.enrolled", f"enrolled as agent {identity.agent}")
            return identity

    def _session(self, identity: Identity) -> AgentSession:
        facts = AgentFacts(
            agent=identity.agent,
            epoch=self._parts.identities.next_epoch(),
            program=self._upgrading.program,
            instances=(self._instance,),
            keys=identity.keys,
            can_upgrade=self._upgrading.can_upgrade,
            orders=(
                LOGS,
                *(ORDERS if self.drift is not None else ()),
                *((UPGRADE,) if self._upgrading.can_upgrade else ()),
            ),
        )
        bound = self._remembered.bound(identity.agent)
        last = self._parts.source.last
        if last is None:
            return AgentSession(facts, random.random, bound=bound)
        version = fr.Version(last.revision, last.hash)
        serves = self._pipeline.last is not None and self._pipeline.last.is_ok
        scope = last.manifest.scope
        held = fr.Held(
            scope=scope,
            acknowledged=version,
            applied=version if serves else None,
            serving=version if serves else None,
            refused=self._remembered.refused(scope),
        )
        manifest = last.manifest if serves else None
        session = AgentSession(facts, random.random, held, manifest, bound)
        session.work.recall(self._remembered.refused_for(scope), held.refused)
        if serves and self._pipeline.last is not None:
            fault = quarantine_fault(self._pipeline.served, self._pipeline.last)
            session.work.recall(fault, version)
        return session

    async def _dialled(self) -> Carrier:
        if self._identity is None:
            raise RuntimeError("a session without identity")
        return await self._dial(self._identity)

    def _told(self, state: State, why: str) -> None:
        url = self._parts.url
        if state is State.LIVE:
            self._was_live.set()
            self._last_error = ""
            self._event("info", "master.connected", f"connected to {url}")
        else:
            self._event("warn", "master.disconnected", f"no connection to {url}: {why}")

    def _remember(self) -> None:
        """Writes down what was refused for good, so that a restart does not try it again, and the
        newest session, so that nobody can repeat an older one after a restart."""
        if self._driver is not None and self._identity is not None:
            work = self._driver.session.work
            held = work.held
            self._remembered.remember(held.scope, held.refused, work.refused_for)
            signs = self._driver.session.signs_upgrades
            self._remembered.remember_bound(self._identity.agent, work.bound, signs)

    async def _lasts(self, driver: SessionDriver) -> None:
        """Ends the count of failed starts once this one has lasted."""
        await asyncio.sleep(max(0.0, self._began + STEADY_S - time.monotonic()))
        await asyncio.to_thread(self._starts.lasted)
        driver.session.failed_starts = 0

    async def _counterparts(self) -> None:
        if self.counterpart is not None:
            await self.counterpart.run()

    async def _renewals(self, driver: SessionDriver | None) -> None:
        """Renews the certificate after two thirds of its time, or when the master wants it. Without
        a session there is no `driver`."""
        while True:
            identity = self._identity
            if identity is None:
                return
            left = self._until_renewal(identity, time.time())
            if left > 0:
                self._wanted.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(left, _AGAIN_S)):
                        await self._wanted.wait()
                continue
            try:
                fresh = await self._office.renew(identity)
                await asyncio.to_thread(self._parts.identities.keep, fresh)
            except (EnrolmentError, OSError) as error:
                self._failed("renewal of the certificate", error)
                await asyncio.sleep(_AGAIN_S * (0.5 + random.random() / 2))  # noqa: S311
                continue
            self._identity = fresh
            self._renewed.begin(fresh, time.time())
            self._renew_at = 0.0
            self._last_error = ""
            self._event("info", "master.renewed", "the agent's certificate was renewed")
            if driver is not None:
                driver.session.identity = said_of(fresh)
                driver.post(ev.Redial())

    def _until_renewal(self, identity: Identity, now: float) -> float:
        due = 0.0 if Renewed.is_behind(identity, now) else identity.renew_at - now
        due = max(due, self._renewed.left_s(now))
        return min(due, self._renew_at - time.monotonic()) if self._renew_at else due

    def _renew_within(self, within_s: float) -> None:
        """Takes the master's wish; one that waits already is not put off."""
        if not self._renew_at:
            # A whole fleet is asked at once, and does not come at once.
            self._renew_at = time.monotonic() + random.random() * within_s  # noqa: S311
            self._wanted.set()

    def _upgrade_ended(self, ended: fr.UpgradeEnded) -> None:
        driver = self._driver
        if driver is not None:
            driver.post(ev.Obeyed(ended))
            if driver.session.upgrade_ended == ended:
                return  # the master asked again
        if ended.text:
            self._event("error", "master.upgrade-failed", _why(ended))
        else:
            self._event("info", "master.upgraded", f"the node runs headgate {ended.program}")

    async def _summaries(self, driver: SessionDriver) -> None:
        """Gives heartbeats the node's figures, and the certificates that it serves with."""
        following = time.monotonic()
        while True:
            served = self._pipeline.served
            watched = await self._watched(served)
            driver.session.inventory = await asyncio.to_thread(inventory_of, served, watched)
            if self.figures is not None:
                driver.post(await self.figures())
            # The time of a look is part of its interval: the master keeps one look for each.
            following = max(following + _FIGURES_S, time.monotonic())
            await asyncio.sleep(following - time.monotonic())

    async def _watched(self, served: Candidate | None) -> tuple[CertificateStatus, ...]:
        """Returns the certificates of an nginx that is only watched: no config of ours has them."""
        if self.engine is None or served is None or served.node.nginx.mode != "observe":
            return ()
        about = (await self.engine()).nginx
        return () if about is None else about.certificates

    async def _descriptions(self, driver: SessionDriver) -> None:
        """Tells what the engine can do once that is known, and when it changes. The session does
        not wait for it: an nginx is asked for many seconds on a busy host."""
        while self.describe is not None:
            found = await self.describe()
            if found is not None and found != self._instance:
                self._instance = found
                driver.post(ev.Described((found,)))
            await asyncio.sleep(_DESCRIBED_S)

    async def _notices(self, driver: SessionDriver) -> None:
        """Tells the master what the node noticed."""
        if self.events is None:
            return
        async for notice in noticed(self.events):
            driver.post(ev.Happened(notice))

    async def _drifts(self, driver: SessionDriver) -> None:
        """Tells the master how the node's nginx drifts."""
        if self.drift is not None:
            await self.drift.run(lambda drift: driver.post(ev.Drifted(drift)))

    def _ordered(self, order: OrderBody) -> None:
        driver = self._driver
        if isinstance(order, LogSearch):
            if driver is not None and self.searches is not None:
                self.searches.ordered(order, lambda lines: driver.post(ev.Searched(lines)))
        elif self.drift is not None and self._identity is not None:
            self.drift.ordered(self._identity.agent, order)

    def _failed(self, what: str, error: BaseException) -> None:
        self._last_error = f"{what}: {error}"
        self._event("warn", "master.refused", self._last_error)

    def _event(self, level: str, kind: str, message: str) -> None:
        write = {"warn": _log.warning, "error": _log.error}.get(level, _log.info)
        write(kind, message=message)
        if self.events is not None:
            self.events.add(level, kind, message)


def _version(version: fr.Version | None) -> RevisionStatus | None:
    return None if version is None else RevisionStatus(version.revision, version.hash)


def _why(ended: fr.UpgradeEnded) -> str:
    return f"the upgrade to {ended.program} failed: {ended.text}"
