"""`round_robin` in nginx: the default of an `upstream`, with the same algorithm."""

from typing import Final

from headgate.features.nginx import About, Parity, Shared
from headgate.features.nginx_balance import Has, Method
from headgate.plan.balance import BalancerNode

PARITY: Final = (Parity("upstreams.NAME.balance.round_robin", "same"),)

LUA: Final = b"in_turn"


def method(_node: BalancerNode, _shared: Shared, _has: Has, _about: About) -> Method:
    """Adds no directive."""
    return Method()
