"""The rows of agents by which a rollout brings them a program, and what they say to it.

A step stands for a revision: NEW_PROGRAM for the rollout's program, FORMER_PROGRAM for what an
agent ran before the rollout told it anything.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from sqlalchemy import case, or_, update

from headgate.master.domains.agents.store import AGENTS, AgentRow
from headgate.master.domains.rollouts import agents
from headgate.master.domains.rollouts.events import AgentView
from headgate.master.domains.rollouts.spec import FORMER_PROGRAM, NEW_PROGRAM
from headgate.master.store.transaction import Transaction

_AT_ONCE: Final = 500


async def agents_of(
    tx: Transaction, fleet: str, rollout: str, program: str, now_ms: int
) -> tuple[list[AgentView], tuple[str, ...]]:
    """Returns the agents of a fleet that can upgrade, and the names of those that cannot; an agent
    that the rollout has reached counts, whatever it can now."""
    rows = await agents.rows_of(tx, fleet)
    able = [row for row in rows if row.can_upgrade or _step(row, rollout) is not None]
    unable = {row.id for row in rows} - {row.id for row in able}
    names = sorted(f"{row.name} ({row.id})" for row in rows if row.id in unable)
    return [view(row, rollout, program, now_ms) for row in able], tuple(names)


def view(row: AgentRow, rollout: str, program: str, now_ms: int) -> AgentView:
    """Returns what an agent says to a rollout. It serves a step once it has come back with the
    program of that step, and serves its revision."""
    shown = row.shown(now_ms)
    step = _step(row, rollout)
    has_failed = step is not None and row.upgrade_state == "failed"
    return AgentView(
        agent=row.id,
        is_connected=shown.state == "connected",
        seen_at=(row.seen_at or 0) / 1000,
        desired=FORMER_PROGRAM if step is None else step,
        serving=_serving(row, step, program)
        if shown.revisions.serving == shown.revisions.desired
        else None,
        refused=step if has_failed else None,
        # An error is of the newest order: a new one takes it away.
        refused_at=float("inf") if has_failed else 0.0,
        error=(row.upgrade_error or "") if has_failed else "",
        labels=tuple(shown.labels.items()),
        zone=shown.labels.get("zone", ""),
        program=row.program or "",
        failing_since=agents.failing_since(shown),
    )


def _step(row: AgentRow, rollout: str) -> int | None:
    return row.upgrade_step if row.upgrade_rollout == rollout else None


def _serving(row: AgentRow, step: int | None, program: str) -> int | None:
    if step is None:
        return NEW_PROGRAM if row.program == program else FORMER_PROGRAM
    if row.program == row.wanted_program and row.upgrade_state == "done":
        return step
    return FORMER_PROGRAM if step == NEW_PROGRAM else NEW_PROGRAM


async def note_former(tx: Transaction, fleet: str, rollout: str) -> None:
    """Notes what the agents of a fleet run that the rollout knew nothing of, before it tells any of
    them: an order takes all instances of a host along, which get theirs later."""
    column = AGENTS.c
    is_new = or_(column.upgrade_rollout.is_(None), column.upgrade_rollout != rollout)
    values = {"former_program": column.program, "upgrade_rollout": rollout, "upgrade_step": None}
    await tx.change(update(AGENTS).where(column.fleet == fleet, is_new).values(values))


async def serve(
    tx: Transaction, rollout: str, told: Sequence[str], step: int, order: tuple[str, int]
) -> None:
    """Makes a step what these agents run, of which `note_former` was told; an agent that has the
    order already gets no other one.

    `order`: the rollout's program, and the present time in milliseconds. Orders of an agent rise,
    whatever the clock does.
    """
    program, now_ms = order
    column = AGENTS.c
    number = case((column.upgrade_order >= now_ms, column.upgrade_order + 1), else_=now_ms)
    values: dict[str, object] = {
        "upgrade_step": step,
        "upgrade_order": number,
        "upgrade_state": "asked",
        "upgrade_error": None,
    }
    if step == NEW_PROGRAM:
        values |= {"wanted_program": program}
        chosen = or_(column.upgrade_step.is_(None), column.upgrade_step != step)
    else:
        # An agent that was never told has nothing to go back from.
        values |= {"wanted_program": column.former_program}
        chosen = column.upgrade_step != step
    chosen &= column.upgrade_rollout == rollout
    for part in _parts(told):
        await tx.change(update(AGENTS).where(column.id.in_(part), chosen).values(values))


def _parts(told: Sequence[str]) -> Iterable[Sequence[str]]:
    return (told[start : start + _AT_ONCE] for start in range(0, len(told), _AT_ONCE))
