"""The rows of figures: slots of nodes and of fleets, and the counters that nodes said last."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
from pydantic import BaseModel
from sqlalchemy import BigInteger, Column, Index, Integer, String, Text, delete, select

from headgate.master.domains.metrics.growth import LONG_MS, Counters, Slot
from headgate.master.domains.metrics.tally import Tally
from headgate.master.store.schema import Tenancy, id_column, table, time_column
from headgate.master.store.scope import Query, Scope
from headgate.master.store.transaction import Transaction, columns_of

METRICS: Final = table(
    "fleet_metrics",
    Tenancy.WORKSPACE,
    Column("length", Integer, primary_key=True, autoincrement=False),
    Column("at", BigInteger, primary_key=True, autoincrement=False),
    id_column("node", is_key=True),
    Column("fleet", String(26), nullable=False),
    Column("covered_ms", BigInteger, nullable=False),
    Column("connection_ms", BigInteger, nullable=False),
    Column("requests", BigInteger, nullable=False),
    Column("server_errors", BigInteger, nullable=False),
    Column("client_errors", BigInteger, nullable=True),
    Column("endpoint_failures", BigInteger, nullable=True),
    Column("latency", Text, nullable=False),
    Column("drift_ms", BigInteger, nullable=True),
    Index("ix_fleet_metrics_fleet_node_at", "fleet", "node", "at"),
    is_by_owner=False,
)
"""`length` and `at` (milliseconds) are the slot; `node` is an agent, or the fleet itself for the
sum of its agents."""

COUNTERS: Final = table(
    "fleet_counters",
    Tenancy.MASTER,
    id_column("agent", is_key=True),
    time_column("measured_at"),
    Column("requests", BigInteger, nullable=False),
    Column("server_errors", BigInteger, nullable=False),
    Column("client_errors", BigInteger, nullable=True),
    Column("endpoint_failures", BigInteger, nullable=True),
    Column("latency", Text, nullable=False),
    Column("judged", Text, nullable=True),
)
"""`judged`: the figures that rollouts judge by, as JSON; null: a master of an earlier version wrote
the row."""

_AT_ONCE: Final = 500


class Owner(NamedTuple):
    """The owner of figures: a node of a fleet, or the fleet itself, of a workspace."""

    scope: Scope
    fleet: str
    node: str


class SlotRow(BaseModel):
    """A slot as it is stored."""

    organisation_id: str
    workspace_id: str
    length: int
    at: int
    node: str
    fleet: str
    covered_ms: int
    connection_ms: int
    requests: int
    server_errors: int
    client_errors: int | None
    endpoint_failures: int | None
    latency: str
    drift_ms: int | None

    @property
    def owner(self) -> Owner:
        """Its owner."""
        return Owner(Scope(self.organisation_id, self.workspace_id), self.fleet, self.node)

    @property
    def slot(self) -> Slot:
        """Its time."""
        return Slot(self.length, self.at)

    @property
    def tally(self) -> Tally:
        """Its tally."""
        return Tally(
            covered_ms=self.covered_ms,
            connection_ms=self.connection_ms,
            requests=self.requests,
            client_errors=self.client_errors,
            server_errors=self.server_errors,
            endpoint_failures=self.endpoint_failures,
            latency=_counts(self.latency),
            drift_ms=self.drift_ms,
        )


class _CountersRow(BaseModel):
    agent: str
    measured_at: int
    requests: int
    server_errors: int
    client_errors: int | None
    endpoint_failures: int | None
    latency: str


class Judged(NamedTuple):
    """The figures of an agent that rollouts judge by, as JSON, and when it measured them."""

    agent: str
    measured_at: int
    figures: str


class _Id(BaseModel):
    node: str


def _text(counts: Sequence[int]) -> str:
    return " ".join(map(str, counts))


def _counts(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split()))


async def counters(tx: Transaction, agents: Sequence[str]) -> dict[str, Counters]:
    """Returns what these agents said last; those that said nothing yet are missing."""
    query = columns_of(COUNTERS, _CountersRow).where(COUNTERS.c.agent.in_(agents))
    return {
        row.agent: Counters(
            measured_at=row.measured_at,
            began_at=None,
            connections=0,
            requests=row.requests,
            client_errors=row.client_errors,
            server_errors=row.server_errors,
            endpoint_failures=row.endpoint_failures,
            latency=_counts(row.latency),
        )
        for row in await tx.all(_CountersRow, query.order_by(COUNTERS.c.agent).with_for_update())
    }


async def keep_counters(
    tx: Transaction, said: Mapping[str, Counters], known: Iterable[str]
) -> None:
    """Keeps what agents said, in place of what those said before that are `known`; raises
    TakenError if another master just kept what one said first."""
    replaced = sorted({*known} & {*said})
    await tx.change(delete(COUNTERS).where(COUNTERS.c.agent.in_(replaced)))
    rows: list[dict[str, object]] = [
        {
            "agent": agent,
            "measured_at": one.measured_at,
            "requests": one.requests,
            "server_errors": one.server_errors,
            "client_errors": one.client_errors,
            "endpoint_failures": one.endpoint_failures,
            "latency": _text(one.latency),
            "judged": msgspec.json.encode(one.judged).decode(),
        }
        for agent, one in said.items()
    ]
    await tx.insert_all(COUNTERS, rows)


async def judged_since(tx: Transaction, since: int, after: str, most: int) -> list[Judged]:
    """Returns what agents of every fleet said last, if they measured it since a time: by id, from
    behind an agent on, this many at most."""
    query: Query = select(COUNTERS.c.agent, COUNTERS.c.measured_at, COUNTERS.c.judged).where(
        COUNTERS.c.measured_at >= since, COUNTERS.c.judged.is_not(None), COUNTERS.c.agent > after
    )
    return await tx.tuples(Judged, query.order_by(COUNTERS.c.agent).limit(most))


async def of_slots(tx: Transaction, nodes: Sequence[str], slots: Iterable[Slot]) -> list[SlotRow]:
    """Returns the rows that there are of these nodes in these slots; locked, for who read them
    replaces them, and must not remove what another master made of them meanwhile."""
    times: dict[int, list[int]] = {}
    for slot in slots:
        times.setdefault(slot.length, []).append(slot.at)
    found: list[SlotRow] = []
    for length, ats in times.items():
        where = (METRICS.c.length == length, METRICS.c.at.in_(ats), METRICS.c.node.in_(nodes))
        query = columns_of(METRICS, SlotRow).where(*where).order_by(METRICS.c.at, METRICS.c.node)
        found += await tx.all(SlotRow, query.with_for_update())
    return found


async def insert(tx: Transaction, tallies: Mapping[tuple[Owner, Slot], Tally]) -> None:
    """Adds rows that are not there yet; raises TakenError if another master just added one."""
    rows: list[dict[str, object]] = [
        {
            "organisation_id": owner.scope.organisation_id,
            "workspace_id": owner.scope.workspace_id,
            "length": slot.length,
            "at": slot.at,
            "node": owner.node,
            "fleet": owner.fleet,
            **tally._asdict(),
            "latency": _text(tally.latency),
        }
        for (owner, slot), tally in tallies.items()
    ]
    for start in range(0, len(rows), _AT_ONCE):
        await tx.insert_all(METRICS, rows[start : start + _AT_ONCE])


async def remove(tx: Transaction, rows: Iterable[SlotRow]) -> None:
    """Removes these rows."""
    groups: dict[Slot, list[str]] = {}
    for row in rows:
        groups.setdefault(row.slot, []).append(row.node)
    for slot, nodes in groups.items():
        for start in range(0, len(nodes), _AT_ONCE):
            part = nodes[start : start + _AT_ONCE]
            where = (METRICS.c.length == slot.length, METRICS.c.at == slot.at)
            await tx.change(delete(METRICS).where(*where, METRICS.c.node.in_(part)))


async def oldest(tx: Transaction, length: int, before: int, since: int = 0) -> int | None:
    """Returns the begin of the oldest slot of this length that began in a time."""
    where = (METRICS.c.length == length, METRICS.c.at >= since, METRICS.c.at < before)
    query = columns_of(METRICS, SlotRow).where(*where)
    found = await tx.first(SlotRow, query.order_by(METRICS.c.at))
    return None if found is None else found.at


async def between(tx: Transaction, length: int, since: int, until: int, most: int) -> list[SlotRow]:
    """Returns rows of slots of this length that began in a time, by node, this many at most."""
    where = (METRICS.c.length == length, METRICS.c.at >= since, METRICS.c.at < until)
    query = columns_of(METRICS, SlotRow).where(*where)
    return await tx.all(SlotRow, query.order_by(METRICS.c.node, METRICS.c.at).limit(most))


async def forget(tx: Transaction, length: int, before: int, most: int) -> int:
    """Removes at most so many rows of slots of this length that began before a time; returns how
    many."""
    first = await oldest(tx, length, before)
    if first is None:
        return 0
    where = (METRICS.c.length == length, METRICS.c.at == first)
    nodes: Query = select(METRICS.c.node).where(*where).limit(most)
    found = await tx.texts(nodes)
    return await tx.change(delete(METRICS).where(*where, METRICS.c.node.in_(found)))


async def nodes_of(
    tx: Transaction, fleet: str, since: int, first: str, most: int, *, is_after: bool = False
) -> list[str]:
    """Returns the nodes of a fleet that have rows since a time, by id from `first` on, or
    after it."""
    begins = METRICS.c.node > first if is_after else METRICS.c.node >= first
    query: Query = select(METRICS.c.node).where(
        METRICS.c.fleet == fleet, METRICS.c.node != fleet, begins, METRICS.c.at >= since
    )
    return await tx.texts(query.distinct().order_by(METRICS.c.node).limit(most))


async def series(tx: Transaction, fleet: str, nodes: Sequence[str], since: int) -> list[SlotRow]:
    """Returns the rows of these nodes of a fleet that ended after a time."""
    where = (METRICS.c.fleet == fleet, METRICS.c.node.in_(nodes), METRICS.c.at > since - LONG_MS)
    query = columns_of(METRICS, SlotRow).where(*where)
    rows = await tx.all(SlotRow, query.order_by(METRICS.c.node, METRICS.c.at))
    return [row for row in rows if row.at + row.length > since]


async def remove_node(tx: Transaction, fleet: str, agent: str) -> None:
    """Forgets the figures of an agent in its fleet; those of the fleet stay as they are."""
    await tx.change(delete(METRICS).where(METRICS.c.fleet == fleet, METRICS.c.node == agent))
    await tx.as_master().change(delete(COUNTERS).where(COUNTERS.c.agent == agent))


async def remove_fleet(tx: Transaction, fleet: str) -> None:
    """Forgets the figures of a fleet."""
    await tx.change(delete(METRICS).where(METRICS.c.fleet == fleet))
