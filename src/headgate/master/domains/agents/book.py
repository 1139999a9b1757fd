"""The agents' book on the store: what `headgate.master.fleet` asks of the rest of the master."""

import datetime as dt
from collections.abc import Callable, Iterable
from typing import Final

import structlog

from headgate.fleet.drift import Drift
from headgate.fleet.frames import (
    Fault,
    Heartbeat,
    Held,
    Hello,
    Identity,
    Instance,
    Inventory,
    Notices,
    Phase,
    Version,
)
from headgate.fleet.master_events import AgentReport, Desired, Orders
from headgate.fleet.orders import NODE, DriftPolicy, Heal, OrderBody, Upgrade
from headgate.fleet.signing import Bind
from headgate.master.domains.agents import store, upgrading
from headgate.master.domains.agents.arriving import Arrivals
from headgate.master.domains.agents.batch import Standings
from headgate.master.domains.agents.ending import EndedUpgrades
from headgate.master.domains.agents.failing import Failing
from headgate.master.domains.agents.manifests import Manifests, explained
from headgate.master.domains.agents.rows import Rows
from headgate.master.domains.agents.standings import Standing
from headgate.master.domains.agents.types import Engine, Facts, LastError
from headgate.master.domains.agents.unpublished import Unpublished
from headgate.master.domains.agents.writing import Writing
from headgate.master.domains.certificates import store as certificates
from headgate.master.domains.drift import reading
from headgate.master.domains.drift import store as drifts
from headgate.master.domains.drift.reading import heal_of
from headgate.master.domains.enrolment.authority import FleetAuthority
from headgate.master.domains.enrolment.service import Enroller
from headgate.master.domains.fleets import store as fleets
from headgate.master.domains.revisions import store as revisions
from headgate.master.domains.revisions.variants import NoVariantError
from headgate.master.fleet.book import AgentFacts, AgentRecord, Enrolled
from headgate.master.ids import Clock
from headgate.master.store.database import Database
from headgate.master.store.errors import StoreUnavailableError
from headgate.master.store.scope import MASTER, Scope

_LONGEST: Final = 2_000
_WORD: Final = 64
_WORDS: Final = 512
_INSTANCES: Final = 32

_log = structlog.get_logger()


class StoreBook:
    """A `FleetBook`. Belongs to one event loop."""

    def __init__(
        self, database: Database, clock: Clock, authority: FleetAuthority, enroller: Enroller
    ) -> None:
        self._database = database
        self._clock = clock
        self._authority = authority
        self._enroller = enroller
        self._rows = Rows(database)
        self._unpublished = Unpublished(database, self._rows)
        self._writing = Writing(database, clock, self._stand)
        self._sessions: dict[str, int] = {}
        """The fence of the newest session of each agent here; 0 while it begins."""
        self._given: dict[str, str | None] = {}
        self._ordered: dict[str, int | None] = {}
        self._identities: dict[str, Identity | None] = {}
        self.manifests = Manifests(database, authority)
        """The manifests that agents are offered."""
        self._failing = Failing()
        self.arrivals = Arrivals()
        """The times that revisions take until agents serve them."""
        self.cut: Callable[[str], None] = _nobody
        """Called for agents that spoke though they were revoked, by another master perhaps."""
        self.wake: Callable[[str], None] = _nobody
        """Called for agents that must serve another revision than they were given."""
        self.cut_certificates: Callable[[str, frozenset[str]], None] = _none_of_them
        """Called for agents of whose certificates some were revoked."""
        self.outdated: Callable[[str], None] = _nobody
        """Called for agents that are to renew, since the fleet's authorities changed."""
        self.upgrade: Callable[[str, Upgrade], None] = _no_order
        """Called for agents that are to run another program."""
        self.measured: Callable[[str, Heartbeat], None] = _unmeasured
        """Called with the heartbeats that have figures."""

    @property
    def upgrades(self) -> EndedUpgrades:
        """The orders to upgrade that agents ended."""
        return self._writing.upgrades

    def tells(self, told: Callable[[str], None]) -> None:
        """`told` is called with the id of each workspace in which events were written."""
        self._writing.told = told

    async def enrol(self, token: str, csr_pem: bytes, facts: AgentFacts, address: str) -> Enrolled:
        """See FleetBook."""
        with explained():
            return await self._enroller.enrol(token, csr_pem, facts, address)

    async def renew(self, agent_id: str, csr_pem: bytes) -> Enrolled:
        """See FleetBook."""
        with explained():
            return await self._enroller.renew(agent_id, csr_pem)

    async def rejoin(
        self, agent_id: str, csr_pem: bytes, address: str, expired: dt.datetime
    ) -> Enrolled:
        """See FleetBook."""
        with explained():
            return await self._enroller.rejoin(agent_id, csr_pem, address, expired)

    async def identify(self, agent_id: str, certificate_serial: str) -> AgentRecord | None:
        """See FleetBook."""
        row = await self._row(agent_id)
        if row is None or row.revoked_at is not None:
            return None
        if certificate_serial in (row.revoked_serials or "").split():
            return None
        return AgentRecord(agent_id, row.name, row.fleet)

    async def joined(self, agent_id: str, hello: Hello, address: str) -> int:
        """See FleetBook."""
        with explained():
            hello = await self._unpublished.joined(agent_id, hello)
        now_ms = self._clock()
        engines = _engines(hello.instances)
        facts = Facts(
            program=hello.program[:_WORD],
            address=address,
            engines=engines,
            orders=list(hello.orders),
        )
        values = {
            "facts": facts.model_dump_json(),
            "connected_at": now_ms,
            "seen_at": now_ms,
            "program": hello.program[:_WORD],
            "can_upgrade": hello.can_upgrade,
            **_held(hello.held),
            **_said(hello.identity),
            **_told(hello),
            **self._failing.joined(agent_id, hello.failed_starts, now_ms),
        }
        self._identities[agent_id] = hello.identity
        before = self._sessions.get(agent_id)
        self._sessions[agent_id] = 0
        fence = before or 0
        try:
            with explained():
                fence = await self._writing.join(agent_id, values, hello.upgrade_ended)
            return fence
        finally:
            self._sessions[agent_id] = max(fence, self._sessions.get(agent_id, 0))

    async def left(self, agent_id: str, fence: int) -> None:
        """See FleetBook."""
        if self._sessions.get(agent_id, fence) == fence:  # else a newer session goes on
            self._sessions.pop(agent_id, None)
            self._given.pop(agent_id, None)
            self._ordered.pop(agent_id, None)
            self.arrivals.left(agent_id)
            self._failing.left(agent_id)
            self._identities.pop(agent_id, None)
            self._unpublished.left(agent_id)
        with explained():
            await self._writing.end(agent_id, fence)

    async def desired(self, agent_id: str) -> Desired | None:
        """See FleetBook."""
        row = await self._row(agent_id)
        if row is None or row.revoked_at is not None:
            return None
        self._order(agent_id, row)
        self._given[agent_id] = row.desired_id
        self._ordered[agent_id] = row.orders_at
        if row.desired_id is None:
            return None
        try:
            found = await self.manifests.of(row, row.desired_id)
        except NoVariantError as why:
            await self._cannot_get(row, str(why))
            return None
        version = Version(found.revision.number, found.hash)
        self._unpublished.offered(agent_id, version)
        return Desired(
            scope=found.revision.fleet_id,
            version=version,
            manifest=found.manifest,
            signature=found.signature,
            bind=found.bind,
            rollout=row.rollout,
            wave=row.wave,
        )

    async def _cannot_get(self, row: store.AgentRow, why: str) -> None:
        """Keeps why a node that has values of its own does not get what it is to serve."""
        _log.error("an agent cannot get its revision", agent=row.id, reason=why)
        fault = Fault("value-missing", why)
        values: dict[str, object] = {"error": _error(fault, Version(row.desired or 0, ""))}
        if not row.held_scope:
            values["held_scope"] = row.fleet  # of which the error is
        with explained():
            await self._writing.keep(row.id, values)

    async def orders(self, agent_id: str) -> Orders | None:
        """See FleetBook."""
        if self._ordered.get(agent_id) is None:
            return None  # as almost always; `desired` has just read it
        with explained():
            async with self._database.read(MASTER) as tx:
                row = await store.find(tx, agent_id)
                fleet = None if row is None else await fleets.find(tx, row.fleet)
                if row is None or fleet is None:
                    return None
                bind = await self._authority.bind(tx)
        bodies: list[OrderBody] = [
            DriftPolicy(reading.at_agents(fleet.drift), _heal_after_s(fleet))
        ]
        heal = heal_of(row.heal_order, row.known_drift, self._clock())
        if heal is not None and heal.state == "ordered":
            bodies.append(Heal(heal.ordered_at))
        return Orders(tuple(bodies), bind)

    async def bind(self) -> Bind:
        """See FleetBook."""
        with explained():
            async with self._database.read(MASTER) as tx:
                return await self._authority.bind(tx)

    async def blobs(self, agent_id: str, hashes: Iterable[str]) -> dict[str, bytes]:
        """See FleetBook."""
        row = await self._row(agent_id)
        if row is None or row.revoked_at is not None:
            return {}
        revision = self._given.get(agent_id, row.desired_id)
        if revision is None:
            return {}
        named = (await self.manifests.of(row, revision)).named
        with explained():
            async with self._database.read(Scope(row.organisation_id, row.workspace_id)) as tx:
                found = await revisions.blobs(tx, named.intersection(hashes))
        return {sha256: self._authority.opened(one) for sha256, one in found.items()}

    def reported(self, agent_id: str, fence: int, report: AgentReport) -> None:
        """See FleetBook."""
        held = self._unpublished.without(agent_id, report.held)
        values: dict[str, object] = _held(held) | {"seen_at": self._clock()}
        if self._unpublished.has(agent_id, report.version):
            self._writing.report(agent_id, fence, values, None)
            return
        if report.phase is Phase.OFFERED:
            values["offered"] = report.version.revision
            values["held_scope"] = report.scope
        values["phase"] = report.phase.name.lower().replace("_", "-")
        if report.effective_hash:
            values["effective_hash"] = report.effective_hash[:128]
        if report.phase.is_final:
            fault = report.fault
            values["error"] = None if fault is None else _error(fault, report.version)
        told = None if report.phase is Phase.OFFERED else report
        self._arrived(agent_id, report)
        self._writing.report(agent_id, fence, values, told)

    async def settled(self) -> None:
        """Waits until what agents said before is written; raises UnavailableError."""
        with explained():
            await self._writing.settled()

    def _arrived(self, agent_id: str, report: AgentReport) -> None:
        given = self.manifests.published(self._given.get(agent_id) or "")
        is_given = given is not None and given.number == report.version.revision
        published_at = given.created_at if given is not None and is_given else None
        told = (report.phase, report.version.revision, published_at)
        self.arrivals.said(agent_id, *told, self._clock())

    async def noticed(self, agent_id: str, notices: Notices) -> None:
        """See FleetBook."""
        with explained():
            await self._writing.notice(agent_id, notices)

    def beaten(self, agent_id: str, fence: int, beat: Heartbeat) -> None:
        """See FleetBook."""
        self._writing.beat(agent_id, fence, self._beaten(agent_id, beat))

    def _beaten(self, agent_id: str, beat: Heartbeat) -> dict[str, object]:
        """Returns what to keep of what every heartbeat says."""
        if beat.figures:
            self.measured(agent_id, beat)
        now_ms = self._clock()
        held = self._unpublished.without(agent_id, beat.held)
        values = _held(held) | {"seen_at": now_ms} | self._failing.seen(agent_id, now_ms)
        if beat.identity is not None and beat.identity != self._identities.get(agent_id):
            self._identities[agent_id] = beat.identity
            values |= _said(beat.identity)
        return values

    async def seen(self, agent_id: str, beat: Heartbeat) -> None:
        """See FleetBook."""
        values = self._beaten(agent_id, beat)
        if beat.instances:
            values |= await self._described(agent_id, beat.instances)
        with explained():
            if beat.inventory is not None:
                await self._keep_inventory(agent_id, beat.inventory)
            if beat.upgrade_ended is not None:
                self._writing.ended(agent_id, beat.upgrade_ended)
            if beat.drift is not None:
                await self._keep_drift(agent_id, beat.drift)
            try:
                await self._writing.keep(agent_id, values, is_urgent=False)
            except StoreUnavailableError:
                self._identities.pop(agent_id, None)  # the next heartbeat says it again
                raise

    async def _described(self, agent_id: str, instances: tuple[Instance, ...]) -> dict[str, object]:
        row = await self._row(agent_id)
        if row is None:
            return {}
        facts = Facts.model_validate_json(row.facts)
        known = facts.model_copy(update={"engines": _engines(instances)})
        return {"facts": known.model_dump_json()}

    async def _keep_inventory(self, agent_id: str, inventory: Inventory) -> None:
        row = await self._row(agent_id)
        if row is None:
            return
        scope, now_ms = Scope(row.organisation_id, row.workspace_id), self._clock()
        await self._database.write(
            scope, lambda tx: certificates.replace(tx, agent_id, inventory, now_ms)
        )

    async def _keep_drift(self, agent_id: str, said: Drift) -> None:
        row = await self._row(agent_id)
        if row is None:
            return
        scope, files = Scope(row.organisation_id, row.workspace_id), reading.files(said)
        await self._database.write(scope, lambda tx: drifts.replace(tx, agent_id, files))
        known = reading.kept(said)
        values: dict[str, object] = {
            "drift": known.stored(),
            "drift_since": known.drift.since,
        }
        await self._writing.drift(agent_id, values, reading.news(row.known_drift, known))

    async def _row(self, agent_id: str) -> store.AgentRow | None:
        with explained():
            return await self._rows.find(agent_id)

    def _is_outdated(self, one: Standing) -> bool:
        """Says whether an agent is to renew for a rotation; one that cannot is not asked."""
        authority = self._authority
        return (
            authority.is_rotating
            and one.trusts is not None
            and one.lacks(authority.pins, authority.issuing)
        )

    def _stand(self, standings: Standings) -> None:
        for agent_id, one in standings.items():
            if one.revoked_at is not None:
                self.cut(agent_id)
                continue
            if one.revoked_serials:
                self.cut_certificates(agent_id, frozenset(one.revoked_serials.split()))
            if self._is_outdated(one):
                self.outdated(agent_id)
            self._order(agent_id, one)
            given = (self._given.get(agent_id), self._ordered.get(agent_id))
            if agent_id in self._given and given != (one.desired_id, one.orders_at):
                self.wake(agent_id)

    def _order(self, agent_id: str, one: upgrading.Ordered) -> None:
        """Gives an agent its order to upgrade, if it has one that has not ended."""
        if (order := upgrading.wish(one)) is not None:
            self.upgrade(agent_id, order)


def _heal_after_s(fleet: fleets.FleetRow) -> float:
    return 0.0 if fleet.drift == NODE else float(fleet.heal_after_s)


def _nobody(agent_id: str) -> None:
    del agent_id


def _none_of_them(agent_id: str, serials: frozenset[str]) -> None:
    del agent_id, serials


def _no_order(agent_id: str, upgrade: Upgrade) -> None:
    del agent_id, upgrade


def _unmeasured(agent_id: str, beat: Heartbeat) -> None:
    del agent_id, beat


def _engines(instances: tuple[Instance, ...]) -> list[Engine]:
    return [
        Engine(
            name=one.name[:_WORD],
            engine=one.engine[:_WORD],
            version=one.version[:_WORD],
            capabilities=[word[:_WORD] for word in one.capabilities[:_WORDS]],
        )
        for one in instances[:_INSTANCES]
    ]


def _held(held: Held) -> dict[str, object]:
    values: dict[str, object] = {
        "acknowledged": _number(held.acknowledged),
        "applied": _number(held.applied),
        "serving": _number(held.serving),
    }
    if held.scope:
        values["held_scope"] = held.scope[:128]
    return values


def _said(identity: Identity | None) -> dict[str, object]:
    if identity is None:
        return {"trusts": None, "held_certificate": None}
    return {
        "trusts": " ".join(identity.authorities),
        "held_certificate": identity.certificate,
    }


def _number(version: Version | None) -> int | None:
    return None if version is None else version.revision


def _told(hello: Hello) -> dict[str, object]:
    """Returns the fault that an agent that comes back tells of: the master that got the report may
    have died before it was stored."""
    fault, of = hello.last_fault, hello.fault_of
    if fault is not None and of is None and not fault.is_transient:
        of = hello.held.refused  # an older agent does not say of which revision
    return {} if fault is None or of is None else {"error": _error(fault, of)}


def _error(fault: Fault, of: Version) -> str:
    return LastError(
        revision=of.revision,
        code=fault.code[:64],
        text=fault.text[:_LONGEST],
        is_transient=fault.is_transient,
        object=fault.object[:_LONGEST],
        file=fault.file[:_LONGEST],
        line=fault.line,
    ).model_dump_json()
