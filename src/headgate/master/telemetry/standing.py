"""The standing of a master's fleets, by its database: what a metrics page shows, bounded."""

from collections import Counter
from dataclasses import dataclass
from typing import Final, NamedTuple

from pydantic import BaseModel
from sqlalchemy import case, func, select

from headgate.certificates.authority import pin
from headgate.certificates.rotation import Authorities
from headgate.master.domains.agents.store import AGENTS, AWAY_AFTER_MS
from headgate.master.domains.certificates.store import SERVED
from headgate.master.domains.events.store import COUNTERS
from headgate.master.domains.fleets.store import FLEETS
from headgate.master.domains.organisations.store import ORGANISATIONS
from headgate.master.domains.rollouts.store import ROLLOUTS
from headgate.master.domains.workspaces.store import WORKSPACES
from headgate.master.store.scope import Query
from headgate.master.store.transaction import Transaction

MOST_FLEETS: Final = 1_000
"""Fleets with series of their own; the others are one, `(other)`."""
MOST_CERTIFICATES: Final = 200
"""Certificates that are shown: those that end first."""
STATES: Final = ("new", "connected", "away", "failing", "revoked")
UPGRADES: Final = ("asked", "done", "failed")
MOST_PROGRAMS: Final = 10
"""Versions of agents with series of their own; the others are one, `(other)`."""
OTHER: Final = "(other)"


class FleetName(NamedTuple):
    """A fleet, by names that people gave."""

    organisation: str
    workspace: str
    fleet: str


NO_FLEET: Final = FleetName(OTHER, OTHER, OTHER)


class SeenCertificate(NamedTuple):
    """A certificate that a node serves with; `ends_at` is in seconds since 1970."""

    fleet: FleetName
    agent: str
    certificate: str
    ends_at: float


class SeenAuthority(NamedTuple):
    """A certificate authority of the fleet."""

    pin: str
    is_issuing: bool
    ends_at: float


@dataclass(frozen=True, slots=True)
class Standing:
    """The figures that the database gives."""

    agents: dict[tuple[FleetName, str], int]
    """By fleet and state."""
    drifting: dict[FleetName, int]
    """Agents whose nginx drifts, by fleet."""
    rollouts: dict[str, int]
    """By phase."""
    program_rollouts: dict[str, int]
    """Those that bring a version of headgate, by phase."""
    holds: dict[FleetName, float]
    """The seconds for which the rollout of a fleet has held; 0 if it does not."""
    programs: dict[tuple[FleetName, str], int]
    """Agents by fleet and the version that they run."""
    upgrades: dict[tuple[FleetName, str], int]
    """Agents by fleet and the state of their newest order to upgrade."""
    events: int
    served_certificates: int
    certificates: tuple[SeenCertificate, ...]
    """Those that end first."""


class _Fleet(BaseModel):
    id: str
    fleet: str
    workspace: str
    organisation: str


class _Agents(BaseModel):
    fleet: str
    state: str
    count: int


class _Drifting(BaseModel):
    fleet: str
    count: int


class _Rollouts(BaseModel):
    phase: str
    is_of_program: bool
    count: int


class _Holds(BaseModel):
    fleet: str
    since: int


class _Programs(BaseModel):
    fleet: str
    program: str
    count: int


class _Upgrades(BaseModel):
    fleet: str
    upgrade_state: str
    count: int


class _Events(BaseModel):
    newest: int | None


class _Served(BaseModel):
    agent: str
    node: str
    fleet: str
    name: str
    expires_at: int


async def look(tx: Transaction, now_ms: int) -> Standing:
    """Returns how everything stands, in a transaction of the master's own."""
    names = await _fleets(tx)
    found: Counter[tuple[FleetName, str]] = Counter()
    for name in names.values():
        found.update({(name, state): 0 for state in STATES})
    for row in await tx.all(_Agents, _agents(now_ms)):
        found[names.get(row.fleet, NO_FLEET), row.state] += row.count
    events: Query = select(func.sum(COUNTERS.c.newest).label("newest"))
    told = await tx.first(_Events, events)
    rollouts = await _rollouts(tx)
    good = select(AGENTS.c.id).where(AGENTS.c.revoked_at.is_(None))
    return Standing(
        agents=dict(found),
        drifting=await _drifting(tx, names),
        rollouts=dict(rollouts[False] + rollouts[True]),
        program_rollouts=dict(rollouts[True]),
        holds=await _holds(tx, names, now_ms),
        programs=await _programs(tx, names),
        upgrades=await _upgrades(tx, names),
        events=(told.newest if told else None) or 0,
        served_certificates=await tx.count(SERVED, SERVED.c.agent.in_(good)),
        certificates=await _certificates(tx, names),
    )


async def _fleets(tx: Transaction) -> dict[str, FleetName]:
    query: Query = select(
        FLEETS.c.id,
        FLEETS.c.name.label("fleet"),
        WORKSPACES.c.name.label("workspace"),
        ORGANISATIONS.c.name.label("organisation"),
    )
    query = query.where(
        FLEETS.c.workspace_id == WORKSPACES.c.id, FLEETS.c.organisation_id == ORGANISATIONS.c.id
    )
    found = await tx.all(_Fleet, query.order_by(FLEETS.c.id).limit(MOST_FLEETS))
    return {one.id: FleetName(one.organisation, one.workspace, one.fleet) for one in found}


def _agents(now_ms: int) -> Query:
    """Returns the query for agents by state, the words of `AgentRow.shown`."""
    is_here = AGENTS.c.connected_at.is_not(None) & (AGENTS.c.seen_at > now_ms - AWAY_AFTER_MS)
    state = case(
        (AGENTS.c.revoked_at.is_not(None), "revoked"),
        (AGENTS.c.seen_at.is_(None), "new"),
        (AGENTS.c.failing_since.is_not(None), "failing"),
        (is_here, "connected"),
        else_="away",
    ).label("state")
    query: Query = select(AGENTS.c.fleet, state, func.count().label("count"))
    return query.group_by(AGENTS.c.fleet, state)


async def _drifting(tx: Transaction, names: dict[str, FleetName]) -> dict[FleetName, int]:
    where = (AGENTS.c.drift_since.is_not(None), AGENTS.c.revoked_at.is_(None))
    query: Query = select(AGENTS.c.fleet, func.count().label("count")).where(*where)
    found = Counter(dict.fromkeys(names.values(), 0))
    for row in await tx.all(_Drifting, query.group_by(AGENTS.c.fleet)):
        found[names.get(row.fleet, NO_FLEET)] += row.count
    return dict(found)


async def _rollouts(tx: Transaction) -> dict[bool, Counter[str]]:
    """Returns how many rollouts there are by phase: those of revisions, and those of programs."""
    is_of_program = ROLLOUTS.c.program.is_not(None)
    query: Query = select(
        ROLLOUTS.c.phase, is_of_program.label("is_of_program"), func.count().label("count")
    )
    found: dict[bool, Counter[str]] = {False: Counter(), True: Counter()}
    for row in await tx.all(_Rollouts, query.group_by(ROLLOUTS.c.phase, is_of_program)):
        found[row.is_of_program][row.phase] += row.count
    return found


async def _holds(
    tx: Transaction, names: dict[str, FleetName], now_ms: int
) -> dict[FleetName, float]:
    where = (ROLLOUTS.c.phase == "rolling", ROLLOUTS.c.held_since.is_not(None))
    query: Query = select(ROLLOUTS.c.fleet, func.min(ROLLOUTS.c.held_since).label("since"))
    found = dict.fromkeys(names.values(), 0.0)
    for row in await tx.all(_Holds, query.where(*where).group_by(ROLLOUTS.c.fleet)):
        # Of the fleets that have no series of their own, the one that has held the longest.
        name = names.get(row.fleet, NO_FLEET)
        found[name] = max(found.get(name, 0.0), (now_ms - row.since) / 1_000)
    return found


async def _programs(
    tx: Transaction, names: dict[str, FleetName]
) -> dict[tuple[FleetName, str], int]:
    """Returns agents by fleet and version; agents say these, so that only few have a series."""
    where = (AGENTS.c.program.is_not(None), AGENTS.c.revoked_at.is_(None))
    query: Query = select(AGENTS.c.fleet, AGENTS.c.program, func.count().label("count"))
    rows = await tx.all(_Programs, query.where(*where).group_by(AGENTS.c.fleet, AGENTS.c.program))
    every: Counter[str] = Counter()
    for row in rows:
        every[row.program] += row.count
    # In one order for as many agents, so that series do not come and go.
    most = sorted(every, key=lambda program: (-every[program], program))[:MOST_PROGRAMS]
    found: Counter[tuple[FleetName, str]] = Counter()
    for row in rows:
        version = row.program if row.program in most else OTHER
        found[names.get(row.fleet, NO_FLEET), version] += row.count
    return dict(found)


async def _upgrades(
    tx: Transaction, names: dict[str, FleetName]
) -> dict[tuple[FleetName, str], int]:
    where = (AGENTS.c.upgrade_state.is_not(None), AGENTS.c.revoked_at.is_(None))
    query: Query = select(AGENTS.c.fleet, AGENTS.c.upgrade_state, func.count().label("count"))
    query = query.where(*where).group_by(AGENTS.c.fleet, AGENTS.c.upgrade_state)
    found: Counter[tuple[FleetName, str]] = Counter()
    for name in names.values():
        found.update({(name, state): 0 for state in UPGRADES})
    for row in await tx.all(_Upgrades, query):
        found[names.get(row.fleet, NO_FLEET), row.upgrade_state] += row.count
    return dict(found)


async def _certificates(
    tx: Transaction, names: dict[str, FleetName]
) -> tuple[SeenCertificate, ...]:
    query: Query = select(
        SERVED.c.agent,
        AGENTS.c.name.label("node"),
        AGENTS.c.fleet,
        SERVED.c.name,
        SERVED.c.expires_at,
    )
    query = query.where(SERVED.c.agent == AGENTS.c.id, AGENTS.c.revoked_at.is_(None))
    found: dict[tuple[str, str], SeenCertificate] = {}
    for row in await tx.all(_Served, query.order_by(SERVED.c.id).limit(MOST_CERTIFICATES)):
        # An agent that says a name twice has one series, of the certificate that ends first.
        name = names.get(row.fleet, NO_FLEET)
        one = SeenCertificate(name, row.agent, row.name, row.expires_at / 1_000)
        found.setdefault((row.agent, row.name), one)
    return tuple(found.values())


def authorities(known: Authorities) -> tuple[SeenAuthority, ...]:
    """Returns the fleet's authorities, the oldest first."""
    return tuple(
        SeenAuthority(
            pin(one.certificate),
            one is known.issuer,
            one.certificate.not_valid_after_utc.timestamp(),
        )
        for one in known.listed
    )
