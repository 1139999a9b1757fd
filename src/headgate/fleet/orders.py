"""The orders of a master to an agent beside revisions, as types. An order is signed for one agent,
one session, once: an intermediary, where TLS ends before the master, can order nothing."""

import hashlib
from dataclasses import dataclass
from typing import Final, TypeAlias

from headgate.fleet.searches import LOGS, LogSearch

DRIFT_POLICY: Final = "drift-policy"
HEAL: Final = "heal"
UPGRADE: Final = "upgrade"
"""Words of `Hello.orders`: what an agent takes. An older agent says none of them."""

NODE: Final = "node"
"""The policy that leaves drift to the node's own settings."""


@dataclass(frozen=True, slots=True)
class DriftPolicy:
    """The fleet's policy for drift: `report`, `heal`, or `node`; a heal begins once drift has
    lasted for `heal_after_s`."""

    policy: str = NODE
    heal_after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Heal:
    """Undo the drift there is now, whatever the policy is; `order` numbers these for one agent."""

    order: int


@dataclass(frozen=True, slots=True)
class Upgrade:
    """An order to go over to another version of headgate; orders of one agent only rise, from 1.
    The number 0 orders nothing: it says that the master signs these orders."""

    order: int
    program: str


OrderBody: TypeAlias = DriftPolicy | Heal | LogSearch | Upgrade


@dataclass(frozen=True, slots=True)
class Order:
    """An order as it is sent: the bytes of its body, and what binds them to agent and session."""

    nonce: int
    body: bytes
    binding: bytes


def word_of(body: OrderBody) -> str:
    """Returns what `Hello.orders` must name for this order."""
    if isinstance(body, LogSearch):
        return LOGS
    if isinstance(body, Upgrade):
        return UPGRADE
    return DRIFT_POLICY if isinstance(body, DriftPolicy) else HEAL


def digest(body: bytes) -> str:
    """Returns what the binding of an order signs of its body: the sha256, lower-case hex."""
    return hashlib.sha256(body).hexdigest()
