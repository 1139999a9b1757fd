"""Makes rollouts and moves them: an event and the rows that follow from it are one transaction."""

from dataclasses import dataclass

import msgspec

from headgate.fleet.programs import ALLOWED, is_program
from headgate.kernel.errors import Invalid
from headgate.master.access import Caller, Permission
from headgate.master.api.problems import ForbiddenError, ProblemError, invalid, not_found
from headgate.master.domains.fleets import store as fleets
from headgate.master.domains.rollouts import agents, machine, programs, store
from headgate.master.domains.rollouts import state as states
from headgate.master.domains.rollouts.events import (
    Approve,
    Command,
    Event,
    Order,
    Serve,
    Settle,
    Supersede,
)
from headgate.master.domains.rollouts.spec import NEW_PROGRAM, Gates, Pace, Spec, parse_waves
from headgate.master.domains.rollouts.store import RolloutRow
from headgate.master.domains.rollouts.types import Freeze, NewFreeze, NewRollout, Ordered
from headgate.master.domains.tokens import service as tokens
from headgate.master.ids import new_id
from headgate.master.store.transaction import Transaction

_WAITS = frozenset({"queued", "waiting"})


class MovedError(Exception):
    """Another master, or a request, stored a newer state of the rollout; nothing was stored."""


@dataclass(frozen=True, slots=True)
class Moved:
    """The result of one event for a rollout."""

    row: RolloutRow
    state: states.Rollout
    commands: list[Command]


async def create(tx: Transaction, new: NewRollout, caller: Caller, now_ms: int) -> RolloutRow:
    """Makes a rollout that begins when its fleet has no other one under way, and takes the place
    of those of the fleet that have not begun; raises ProblemError."""
    is_urgent = new.program is None and new.kind != "config"
    if (new.is_now or is_urgent) and not caller.may(Permission.ROLLOUTS_APPROVE, tx.scope):
        told = f"the kind `{new.kind}`" if is_urgent else "`is_now`"
        what = f"{told} needs the permission rollouts.approve"
        raise ForbiddenError(Permission.ROLLOUTS_APPROVE, what)
    fleet = await _fleet(tx, new.fleet)
    await _check_what(tx, fleet, new)
    for row in await store.open_ones(tx, fleet):
        if not (new.supersede or row.phase in _WAITS):
            continue
        if _is_readable(row):
            is_lost = await _is_lost(tx, row)
            by = Supersede(new.revision or 0, caller.name, new.program or "", is_lost)
            await _told(tx, row, by, now_ms)
        elif not await store.end_unread(tx, row, "superseded"):
            raise _moved_on()
    needed = max(new.approvals, await fleets.approvals_of(tx, fleet))
    spec = _spec(new, new_id(now_ms), fleet, caller, needed)
    spec = msgspec.structs.replace(spec, authors=(caller.id, *await tokens.makers(tx, caller)))
    rollout = machine.create(spec, now_ms / 1000)
    await store.insert(tx, rollout, caller.name, now_ms)
    return await found(tx, rollout.spec.rollout)


async def order(
    tx: Transaction, rollout: str, ordered: Ordered, caller: Caller, now_ms: int
) -> RolloutRow:
    """Has a rollout do what a person orders; raises ProblemError."""
    row = await found(tx, rollout)
    if ordered.verb == "undo" and row.phase == "succeeded":
        await _require_last(tx, row)
    return (await _told(tx, row, Order(ordered.verb, caller.name), now_ms)).row


async def approve(tx: Transaction, rollout: str, caller: Caller, now_ms: int) -> RolloutRow:
    """Counts a person's approval; raises ProblemError, also for an API token: whoever holds some
    would be several people."""
    row = await found(tx, rollout)
    if caller.is_token:
        raise ForbiddenError(
            Permission.ROLLOUTS_APPROVE,
            "people approve rollouts, and this is an API token; log in and approve it yourself",
        )
    event = Approve(caller.name, await fleets.approvals_of(tx, row.fleet), caller.id)
    return (await _told(tx, row, event, now_ms)).row


async def found(tx: Transaction, rollout: str) -> RolloutRow:
    """Returns a rollout of the scope; raises ProblemError."""
    row = await store.find(tx, rollout)
    if row is None:
        raise not_found("rollout", rollout)
    return row


async def tell(
    tx: Transaction, row: RolloutRow, before: states.Rollout, event: Event, now_ms: int
) -> Moved:
    """Has a rollout handle an event, and stores what follows; raises Invalid, MovedError."""
    after, commands = machine.handle(before, event, now_ms / 1000)
    return await keep(tx, row, Moved(row, after, commands))


async def keep(tx: Transaction, row: RolloutRow, moved: Moved) -> Moved:
    """Stores a state and the rows that its commands ask for; raises MovedError, and Invalid if a
    revision is gone that a command is about."""
    if not await store.save(tx, row, moved.state):
        raise MovedError(row.id)
    for command in moved.commands:
        match command:
            case Serve(step, told) if row.program is not None:
                now_ms = int((moved.state.ticked_at or 0.0) * 1000)
                if step == NEW_PROGRAM:
                    await programs.note_former(tx, row.fleet, row.id)
                await programs.serve(tx, row.id, told, step, (row.program, now_ms))
            case Serve(revision, told):
                await store.serve(tx, row, told, revision, moved.state.wave)
            case Settle(revision) if row.program is None:
                await store.settle(tx, row.fleet, revision)
    return Moved(await found(tx, row.id), moved.state, moved.commands)


async def freeze(tx: Transaction, new: NewFreeze, by: str, now_ms: int) -> Freeze:
    """Makes a freeze; raises ProblemError."""
    fleet = await _fleet(tx, new.fleet) if new.fleet else ""
    begins_at = now_ms + new.begins_in_s * 1000
    one = Freeze(
        id=new_id(now_ms),
        version=1,
        fleet=fleet,
        begins_at=begins_at,
        ends_at=begins_at + new.seconds * 1000,
        reason=new.reason,
        created_by=by,
    )
    await store.add_freeze(tx, one)
    return one


async def _fleet(tx: Transaction, key: str) -> str:
    found = await fleets.named(tx, key)
    if found is None:
        raise invalid("$.fleet", f'there is no fleet "{key}"', "write a fleet's name or id")
    return found.id


async def _check_what(tx: Transaction, fleet: str, new: NewRollout) -> None:
    """Raises ProblemError unless there is what the rollout is to bring, and who can get it."""
    if (new.revision is None) == (new.program is None):
        raise invalid(
            "$.revision",
            "a rollout brings a revision or a program",
            "write `revision` or `program`, one of them",
        )
    if new.program is not None:
        await _check_program(tx, fleet, new)
    elif await store.revision_id(tx, fleet, new.revision or 0) is None:
        raise invalid(
            "$.revision", f"there is no revision {new.revision}", "write a revision's number"
        )


async def _check_program(tx: Transaction, fleet: str, new: NewRollout) -> None:
    if new.kind != "config":
        raise invalid("$.kind", f"a program is not {new.kind}", "leave `kind` out")
    if not is_program(new.program or ""):
        raise invalid("$.program", f"{new.program!r} is not a version", ALLOWED)
    if not any(row.can_upgrade for row in await agents.rows_of(tx, fleet)):
        raise invalid(
            "$.fleet",
            "no agent of this fleet can upgrade",
            "start its nodes with --upgrade-command",
        )


async def _require_last(tx: Transaction, row: RolloutRow) -> None:
    """Raises ProblemError if the fleet serves something newer than what a rollout brought it."""
    newest = await store.newest(tx, row.fleet)
    if newest is not None and newest.id != row.id:
        raise ProblemError(
            409, "conflict", f"rollout {newest.id} is newer; undo that one, or begin another"
        )
    fleet = await fleets.find(tx, row.fleet, is_locked=True)
    if row.program is None and fleet is not None and fleet.revision != row.revision:
        raise ProblemError(
            409,
            "conflict",
            f"the fleet's revision is {fleet.revision}, which was published since; begin a rollout"
            " of the revision to go back to",
        )


def _moved_on() -> ProblemError:
    return ProblemError(409, "conflict", "the rollout moved on meanwhile; look again")


async def _is_lost(tx: Transaction, row: RolloutRow) -> bool:
    """Reports whether a rollout goes back to a revision that is gone."""
    if row.phase != "undoing" or row.program is not None:
        return False
    base = row.decoded().spec.base
    return base is not None and await store.revision_id(tx, row.fleet, base) is None


def _is_readable(row: RolloutRow) -> bool:
    try:
        row.decoded()
    except Invalid:
        return False
    return True


async def _told(tx: Transaction, row: RolloutRow, event: Event, now_ms: int) -> Moved:
    if not _is_readable(row):
        raise ProblemError(
            409,
            "conflict",
            "the stored state of this rollout cannot be read; run a master that knows it, or"
            " begin another rollout with `supersede`",
        )
    try:
        return await tell(tx, row, row.decoded(), event, now_ms)
    except Invalid as wrong:
        raise ProblemError(409, "conflict", str(wrong)) from wrong
    except MovedError:
        raise _moved_on() from None


def _spec(new: NewRollout, rollout: str, fleet: str, caller: Caller, approvals: int) -> Spec:
    try:
        waves = parse_waves(new.waves)
    except Invalid as wrong:
        raise invalid("$.waves", wrong.what, wrong.allowed) from wrong
    return Spec(
        rollout=rollout,
        fleet=fleet,
        revision=NEW_PROGRAM if new.revision is None else new.revision,
        base=None,
        author=caller.name,
        kind=new.kind if new.program is None else "program",
        program=new.program or "",
        waves=waves,
        gates=Gates(**new.gates.model_dump()),
        pace=Pace(
            max_unavailable=new.max_unavailable,
            soak_s=new.soak_s,
            apply_s=new.apply_s,
            settle_s=new.settle_s,
        ),
        approvals=approvals,
        is_now=new.is_now,
    )
