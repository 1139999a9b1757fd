"""Turns what agents say of drift into rows, events and what clients see. Pure."""

import json
from typing import Final, Literal

from pydantic import BaseModel, JsonValue

from headgate.fleet import drift as said
from headgate.fleet.orders import DRIFT_POLICY, NODE
from headgate.master.domains.drift.types import (
    Drift,
    DriftedFile,
    DriftPolicyName,
    HealOrder,
    HealState,
)

HEALS_FOR_MS: Final = 600_000
"""The time for which a heal that was ordered is sent to its agent."""
_NAMED: Final = 10


class KeptDrift(BaseModel):
    """An agent's drift as its row has it, and the last heal that it ended."""

    drift: Drift
    heal_order: int = 0
    heal_error: str = ""

    def stored(self) -> str:
        """Returns what its column has: clients see times as texts, rows keep numbers."""
        return json.dumps(self.model_dump())


def kept(drift: said.Drift) -> KeptDrift:
    """Returns what an agent's row keeps of a report."""
    shown = Drift(
        since=drift.since_ms or None,
        states=list(drift.states),
        files=[file.path for file in drift.files[:_NAMED]],
        count=max(drift.total, len(drift.files)),
        policy=drift.policy,
        held=drift.held,
        alarm=drift.alarm,
    )
    heal = drift.heal or said.HealEnd(0)
    return KeptDrift(drift=shown, heal_order=heal.order, heal_error=heal.error)


def files(drift: said.Drift) -> list[DriftedFile]:
    """Returns the files of a report as clients see them."""
    return [
        DriftedFile(
            path=file.path,
            how=file.how,
            since=file.since_ms,
            diff=file.diff,
            next=file.next,
            next_diff=file.next_diff,
        )
        for file in drift.files
    ]


def news(before: KeptDrift | None, now: KeptDrift) -> dict[str, JsonValue] | None:
    """Returns what an event says of a change; None if nothing differs in another way than before.
    When the first report says that all is well, that is no news."""
    after = now.drift
    if before is None and after.since is None:
        return None
    if before is not None and _sameness(before.drift) == _sameness(after):
        return None
    return {
        "drifts": after.since is not None,
        "since_ms": after.since,
        "states": list(after.states),
        "files": list(after.files),
        "count": after.count,
        "policy": after.policy,
    }


def _sameness(drift: Drift) -> tuple[object, ...]:
    return (drift.since, drift.states, drift.files, drift.count)


def at_agents(wanted: DriftPolicyName) -> Literal["node", "report", "heal"]:
    """Returns what agents do for the policy of their fleet: of proposals they know nothing.

    >>> at_agents("adopt"), at_agents("heal")
    ('report', 'heal')
    """
    return "report" if wanted == "adopt" else wanted


def ignored(
    wanted: DriftPolicyName, orders: list[str], engines: list[str], drift: Drift | None
) -> str:
    """Returns why an agent does not do what its fleet wants about drift; empty: it does, or the
    fleet leaves it to the node."""
    if wanted == NODE:
        return ""
    if DRIFT_POLICY not in orders:
        if "nginx" in engines or not engines:
            return "its version of headgate takes no policy of drift; upgrade the agent"
        return "its engine has no files that drift"
    if drift is None or drift.policy != at_agents(wanted):
        return "it is not in force yet, or its nginx is only observed"
    return ""


def heal_of(order: int | None, known: KeptDrift | None, now_ms: int) -> HealOrder | None:
    """Returns how the heal stands that was ordered at `order`; None: none ever was."""
    if order is None:
        return None
    if known is not None and known.heal_order == order:
        state: HealState = "failed" if known.heal_error else "done"
        return HealOrder(ordered_at=order, state=state, error=known.heal_error)
    is_late = now_ms - order > HEALS_FOR_MS
    return HealOrder(ordered_at=order, state="expired" if is_late else "ordered", error="")
