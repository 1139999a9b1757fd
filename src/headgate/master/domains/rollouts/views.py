"""Shows rollouts as the API does. Pure."""

import math
from collections.abc import Sequence

from headgate.kernel.errors import Invalid
from headgate.master.domains.rollouts import state as states
from headgate.master.domains.rollouts.store import RolloutRow
from headgate.master.domains.rollouts.types import (
    EntryView,
    RolloutDetail,
    RolloutView,
    StandingView,
    WaveView,
)


def brief(row: RolloutRow) -> RolloutView:
    """Returns a rollout without its agents; one that cannot be read says so."""
    try:
        return RolloutView.model_validate(_common(row, row.decoded()))
    except Invalid as error:
        return RolloutView.model_validate(_unreadable(row, error))


def unreadable(row: RolloutRow, error: Invalid) -> RolloutDetail:
    """Returns what the row itself tells of a rollout whose state cannot be read."""
    return RolloutDetail.model_validate(
        _unreadable(row, error)
        | {"serving_p50_s": None, "serving_p99_s": None}
        | {"waves": [], "unable": [], "agents": [], "timeline": []}
    )


def detailed(row: RolloutRow, shown: states.Rollout) -> RolloutDetail:
    """Returns a rollout with the standing of every agent."""
    took = sorted(
        node.served_at - node.offered_at
        for node in shown.nodes.values()
        if node.served_at >= node.offered_at > 0.0
    )
    return RolloutDetail.model_validate(
        _common(row, shown)
        | {
            "serving_p50_s": _quantile(took, 0.5),
            "serving_p99_s": _quantile(took, 0.99),
            "waves": [_wave(one) for one in shown.waves],
            "unable": list(shown.unable),
            "agents": [_standing(name, node, row) for name, node in sorted(shown.nodes.items())],
            "timeline": [
                EntryView(at=_ms(one.at) or 0, kind=one.kind, text=one.text)
                for one in shown.timeline
            ],
        }
    )


def _quantile(rising: Sequence[float], q: float) -> float | None:
    """Returns the smallest value that a share `q` of all does not exceed; None of none."""
    return round(rising[max(math.ceil(q * len(rising)), 1) - 1], 3) if rising else None


def _unreadable(row: RolloutRow, error: Invalid) -> dict[str, object]:
    return _of_row(row) | {
        "base": None,
        "kind": "",
        "status": row.phase if row.phase in states.ENDED else "unreadable",
        "reason": str(error),
        "hold": "",
        "ended_at": None,
        "approvals": [],
        "approvals_needed": 0,
    }


def _of_row(row: RolloutRow) -> dict[str, object]:
    return {
        "id": row.id,
        "version": row.version,
        "fleet": row.fleet,
        "revision": row.revision if row.program is None else None,
        "program": row.program,
        "created_by": row.created_by,
        "created_at": row.created_at,
    }


def _common(row: RolloutRow, state: states.Rollout) -> dict[str, object]:
    return _of_row(row) | {
        "base": state.spec.base if row.program is None else None,
        "kind": state.spec.kind,
        "status": states.status(state),
        "reason": state.reason,
        "hold": state.hold.reason if state.hold else "",
        "ended_at": _ms(state.ended_at),
        "approvals": [one.by for one in state.approvals],
        "approvals_needed": state.spec.approvals,
    }


def _wave(one: states.WaveRecord) -> WaveView:
    return WaveView(
        name=one.name,
        members=list(one.members),
        began_at=_ms(one.began_at),
        passed_at=_ms(one.passed_at),
        how=one.how,
        outcome=one.verdict.outcome if one.verdict else "",
        findings=[finding.text for finding in one.verdict.findings] if one.verdict else [],
    )


def _standing(name: str, node: states.Node, row: RolloutRow) -> StandingView:
    is_config = row.program is None
    return StandingView(
        agent=name,
        standing=node.standing,
        wave=None if node.wave is None else node.wave + 1,
        desired=node.desired if is_config else None,
        serving=node.serving if is_config else None,
        is_online=node.is_online,
        error=node.error,
        program=node.program,
    )


def _ms(at: float | None) -> int | None:
    return None if at is None else int(at * 1000)
