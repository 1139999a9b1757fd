"""`random` in nginx: the directive of that name."""

from typing import Final

from headgate.features.nginx import About, Parity, Shared
from headgate.features.nginx_balance import Has, Method, needs
from headgate.nginxtext.writer import directive
from headgate.plan.balance import BalancerNode

PARITY: Final = (
    Parity("upstreams.NAME.balance.random", "differs", "`backup` is refused beside it"),
)

LUA: Final = b"by_chance"


def method(_node: BalancerNode, _shared: Shared, has: Has, about: About) -> Method:
    """Returns `random;`."""
    if not needs(has, "random", about, "random"):
        return Method()
    return Method((directive("random"),), allows_backup=False)
