"""`round_robin` in nginx: the default of an `upstream`, with the same algorithm."""

from typing import Final

from headgate.features.nginx import About, Parity, Shared
from headgate.features.nginx_balance import Has, Method
from headgate.plan.objects import Balance

PARITY: Final = (Parity("upstreams.NAME.balance.round_robin", "same"),)


def method(_balance: Balance, _shared: Shared, _has: Has, _about: About) -> Method:
    """Adds no directive."""
    return Method()
