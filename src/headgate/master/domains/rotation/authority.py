"""The rotation of the fleet's authority: which step may follow, and what it changes."""

from collections.abc import Mapping, Sequence
from typing import Final

from headgate.certificates.authority import pin
from headgate.certificates.rotation import Authorities
from headgate.kernel.errors import Invalid
from headgate.master.api.problems import ProblemError
from headgate.master.domains.agents import standings
from headgate.master.domains.agents.standings import Standing
from headgate.master.domains.agents.store import AGENTS
from headgate.master.domains.data_planes import store as data_planes
from headgate.master.domains.enrolment import store
from headgate.master.domains.enrolment.authority import FleetAuthority
from headgate.master.domains.enrolment.service import REJOINS_FOR
from headgate.master.domains.enrolment.store import Lock
from headgate.master.domains.rotation.types import (
    AuthorityStatus,
    OneAuthority,
    RotationStep,
    Stage,
    Step,
    WaitingAgent,
)
from headgate.master.store.leases import Lease, require
from headgate.master.store.transaction import Transaction

_SHOWN: Final = 20
_STAGES: Final[dict[str, Stage]] = {
    "steady": "steady",
    "announced": "announced",
    "switched": "switched",
}
_NEXT: Final[dict[str, Step]] = {
    "steady": "announce",
    "announced": "switch",
    "switched": "finish",
}


async def status(tx: Transaction, authority: FleetAuthority, now_ms: int) -> AuthorityStatus:
    """Returns where the rotation stands."""
    found = authority.read(await store.listed(tx))
    agents = await _agents(tx, now_ms)
    return _status(found, agents)


async def take(
    tx: Transaction, authority: FleetAuthority, lease: Lease, wanted: RotationStep, now_ms: int
) -> AuthorityStatus:
    """Takes a step; raises ProblemError (409) if it does not follow, or agents are not ready, and
    LostLeaseError if another master changes the authorities now."""
    await require(tx, lease)
    # Certificates that are being issued are there before their agents are looked at.
    rows = await store.listed(tx, Lock.WHOLE)
    before = authority.read(rows)
    agents = await _agents(tx, now_ms)
    if _NEXT[before.stage] != wanted.step:
        raise _refused(f"the rotation is {before.stage}; its next step is {_NEXT[before.stage]}")
    waiting = _waiting(before, agents)
    if wanted.step != "announce" and waiting and not wanted.is_forced:
        raise _refused(
            f"{len(waiting)} of {len(agents)} agents are not ready, such as {waiting[0].name};"
            " wait until they are, revoke them, or force the step"
        )
    try:
        if wanted.step == "announce":
            number = int(rows[-1].id.rpartition("-")[2]) + 1
            made = await authority.made(tx, number, is_issuing=False)
            before.announced(authority.read([made.model_copy(update={"is_issuing": True})]).issuer)
            await store.insert(tx, made)
        elif wanted.step == "switch":
            before.switched()
            await store.let_issue(tx, rows[-1].id)
        else:
            before.finished()
            for row in rows[:-1]:
                await store.remove(tx, row.id)
    except Invalid as error:
        raise _refused(str(error)) from None
    return _status(authority.read(await store.listed(tx)), agents)


def _refused(text: str) -> ProblemError:
    return ProblemError(409, "rotation", text)


async def _agents(tx: Transaction, now_ms: int) -> list[Standing]:
    """Returns the agents that count: those that can still connect by themselves."""
    oldest = now_ms - int(REJOINS_FOR.total_seconds() * 1_000)
    query = standings.ALL.where(
        AGENTS.c.revoked_at.is_(None), AGENTS.c.certificate_expires_at > oldest
    )
    found = await tx.as_master().tuples(Standing, query)
    return [*found, *await _data_planes(tx, {one.id: one for one in found}, oldest)]


async def _data_planes(
    tx: Transaction, agents: Mapping[str, Standing], oldest: int
) -> list[Standing]:
    """Returns the data planes of agents that count, each in the form of its agent."""
    rows = await data_planes.listed(tx.as_master(), oldest)
    return [
        agents[row.id]._replace(
            name=f"the data plane of {agents[row.id].name}",
            certificate_serial=row.certificate_serial,
            certificate_issuer=row.certificate_issuer,
            held_certificate=row.held_certificate,
            trusts=row.trusts if row.held_certificate == row.certificate_serial else None,
        )
        for row in rows
        if row.id in agents
    ]


def _waiting(found: Authorities, agents: Sequence[Standing]) -> list[Standing]:
    if found.stage == "steady":
        return []
    pins = frozenset(pin(one.certificate) for one in found.listed)
    issuing = pin(found.issuer.certificate)
    if found.stage == "announced":
        return [one for one in agents if not pins <= frozenset((one.trusts or "").split())]
    return [one for one in agents if one.lacks(pins, issuing)]


def _status(found: Authorities, agents: Sequence[Standing]) -> AuthorityStatus:
    waiting = _waiting(found, agents)
    return AuthorityStatus(
        stage=_STAGES[found.stage],
        authorities=[
            OneAuthority(
                pin=pin(one.certificate),
                name=one.certificate.subject.rfc4514_string().removeprefix("CN="),
                is_issuing=one is found.issuer,
                expires_at=int(one.certificate.not_valid_after_utc.timestamp() * 1_000),
            )
            for one in found.listed
        ],
        agents=len(agents),
        waiting=len(waiting),
        first_waiting=[
            WaitingAgent(
                id=one.id, name=one.name, workspace_id=one.workspace_id, seen_at=one.seen_at
            )
            for one in waiting[:_SHOWN]
        ],
        next=None if waiting else _NEXT[found.stage],
    )
