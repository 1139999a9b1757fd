"""`least_conn` in nginx: the directive of that name."""

from typing import Final

from headgate.features.nginx import About, Parity, Shared
from headgate.features.nginx_balance import Has, Method, needs
from headgate.nginxtext.writer import directive
from headgate.plan.balance import BalancerNode

PARITY: Final = (
    Parity(
        "upstreams.NAME.balance.least_conn",
        "differs",
        "requests in flight are counted by all workers together",
    ),
)


def method(_node: BalancerNode, _shared: Shared, has: Has, about: About) -> Method:
    """Returns `least_conn;`."""
    if not needs(has, "least_conn", about, "least_conn"):
        return Method()
    return Method((directive("least_conn"),))
