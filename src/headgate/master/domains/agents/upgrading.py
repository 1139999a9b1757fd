"""Says how far an agent is with its newest order to run another program. Pure."""

from typing import NamedTuple, Protocol

from headgate.fleet.frames import UpgradeEnded
from headgate.fleet.orders import Upgrade
from headgate.master.domains.agents.standings import Standing

_LONGEST = 2_000


class Ended(NamedTuple):
    """The end of an order; `error` is empty for one that was obeyed."""

    program: str
    error: str


def ended(one: Standing, said: UpgradeEnded | None) -> Ended | None:
    """Returns the end of an agent's order that is open; None while it is, and without one.

    `said`: which order has ended at the agent. That it runs the program says nothing alone: it may
    still obey the order before.
    """
    if one.upgrade_state != "asked" or one.wanted_program is None:
        return None
    if said is None or said.order != one.upgrade_order:
        return None
    if said.text or one.program != one.wanted_program:
        why = said.text or f"the agent runs {one.program}"
        return Ended(one.wanted_program, why[:_LONGEST])
    return Ended(one.wanted_program, "")


def columns(end: Ended) -> dict[str, object]:
    """Returns what of the agent's row changes with the end."""
    if end.error:
        return {"upgrade_state": "failed", "upgrade_error": end.error}
    return {"upgrade_state": "done", "upgrade_error": None}


class Ordered(Protocol):
    """The newest order of an agent."""

    @property
    def wanted_program(self) -> str | None: ...
    @property
    def upgrade_order(self) -> int | None: ...
    @property
    def upgrade_state(self) -> str | None: ...


def wish(one: Ordered) -> Upgrade | None:
    """Returns the order that an agent is to get; it is repeated until the agent has ended it."""
    if one.upgrade_state != "asked" or one.wanted_program is None or one.upgrade_order is None:
        return None
    return Upgrade(one.upgrade_order, one.wanted_program)
