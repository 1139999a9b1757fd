"""`p2c` in nginx: `random two least_conn`, which knows no latencies."""

from typing import Final

from headgate.features.nginx import About, Parity, Shared
from headgate.features.nginx_balance import Has, Method, needs
from headgate.nginxtext.writer import Word, directive
from headgate.plan.balance import BalancerNode

PARITY: Final = (
    Parity(
        "upstreams.NAME.balance.p2c",
        "differs",
        "the better of two by requests in flight alone, without latency and failures; `backup` "
        "is refused beside it",
    ),
)


def method(_node: BalancerNode, _shared: Shared, has: Has, about: About) -> Method:
    """Returns `random two least_conn;`."""
    if not needs(has, "random_two", about, "random two least_conn"):
        return Method()
    about.note("", "nginx compares requests in flight only, not latency")
    return Method((directive("random", Word("two"), Word("least_conn")),), allows_backup=False)
