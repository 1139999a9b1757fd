"""The standings of agents: the rows that a master looks at whenever an agent says something.

Thousands of them do each second, so these rows are read and compared as plain tuples.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import bindparam, select

from headgate.master.domains.agents.store import (
    AGENTS,
    AWAY_AFTER_MS,
    CONNECTED,
    LEFT_AFTER_MS,
    LOST,
    in_parts,
)
from headgate.master.domains.agents.types import UpgradeState
from headgate.master.store.scope import Query
from headgate.master.store.transaction import Transaction

_OF_ITSELF: Final = ("held_certificate", "trusts", "program", "can_upgrade", "upgrade_state")


class Standing(NamedTuple):
    """The facts about an agent that may change under a session: whether it may stay, what it must
    serve, its owner, and whether its certificate is as it should be. `told`: whether the last event
    about its session was `connected` or `lost`."""

    id: str
    organisation_id: str
    workspace_id: str
    fleet: str
    name: str
    told: str
    connected_at: int | None
    seen_at: int | None
    failing_since: int | None
    fence: int
    revoked_at: int | None
    desired_id: str | None
    orders_at: int | None
    certificate_serial: str | None
    certificate_issuer: str | None
    held_certificate: str | None
    trusts: str | None
    revoked_serials: str | None
    program: str | None
    can_upgrade: bool | None
    wanted_program: str | None
    upgrade_order: int | None
    upgrade_state: UpgradeState | None
    held_scope: str
    offered: int | None
    acknowledged: int | None
    applied: int | None
    serving: int | None
    phase: str

    def having(self, said: Mapping[str, object]) -> "Standing":
        """Returns the same with what the agent says of its identity now."""
        news: Any = {name: said[name] for name in _OF_ITSELF if name in said}
        return self._replace(**news) if news else self

    def news(self, said: Mapping[str, object]) -> dict[str, object]:
        """Returns what of these values of columns is not known to be there already."""
        return {name: value for name, value in said.items() if getattr(self, name, said) != value}

    def lacks(self, pins: frozenset[str], issuing: str) -> bool:
        """Says whether the agent does not trust all of these authorities yet, or has not the
        certificate that was issued to it last, by the one that issues."""
        if not pins <= frozenset((self.trusts or "").split()):
            return True
        return self.certificate_issuer != issuing or (
            self.held_certificate != self.certificate_serial
        )

    def is_here(self, now_ms: int) -> bool:
        """Reports whether it has a session with some master, by all that is known."""
        return self.connected_at is not None and now_ms - (self.seen_at or 0) < AWAY_AFTER_MS

    def is_silent(self, now_ms: int) -> bool:
        """Reports whether it is gone though the last event about it was that it connected."""
        if self.told != CONNECTED or self.seen_at is None or self.revoked_at is not None:
            return False
        patience = AWAY_AFTER_MS if self.connected_at is not None else LEFT_AFTER_MS
        return self.seen_at < now_ms - patience

    def is_back(self, said: Mapping[str, object], now_ms: int) -> bool:
        """Reports whether what it says now shows that it never left, though it was told as lost:
        its master could not write for some time."""
        seen_at = said.get("seen_at")
        if self.told != LOST or self.connected_at is None or self.revoked_at is not None:
            return False
        return isinstance(seen_at, int) and now_ms - seen_at < AWAY_AFTER_MS


ALL: Final[Query] = select(*(AGENTS.c[name] for name in Standing._fields)).order_by(AGENTS.c.id)
"""The query for the standing of every agent, by id; for `Transaction.tuples`."""
_FOUND: Final = ALL.where(AGENTS.c.id.in_(bindparam("agents", expanding=True)))
_LOCKED: Final = _FOUND.with_for_update()


async def found(
    tx: Transaction, agent_ids: Sequence[str], *, is_locked: bool = False
) -> dict[str, Standing]:
    """Returns how these agents stand; those that were deleted are missing."""
    query = _LOCKED if is_locked else _FOUND
    rows: list[Standing] = []
    for part in in_parts(agent_ids):
        rows += await tx.tuples(Standing, query, agents=part)
    return {one.id: one for one in rows}
