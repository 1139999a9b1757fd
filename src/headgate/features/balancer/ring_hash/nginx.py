"""`ring_hash` in nginx: `hash … consistent` (ketama), without a bound on load."""

from typing import Final

from headgate.features.balancer.ring_hash.spec import RingHashNode
from headgate.features.nginx import About, Parity, Shared
from headgate.features.nginx_balance import ANOTHER, Has, Method, key_variable, needs
from headgate.nginxtext.writer import Word, directive

PARITY: Final = (
    Parity("upstreams.NAME.balance.ring_hash.key", "differs", ANOTHER),
    Parity("upstreams.NAME.balance.ring_hash.virtual_nodes", "differs", "160 points per weight"),
    Parity(
        "upstreams.NAME.balance.ring_hash.load_bound",
        "no",
        "nginx bounds no load; anything but 0 and the default is refused",
    ),
)

_DEFAULT: Final = RingHashNode("")


def method(node: RingHashNode, shared: Shared, has: Has, about: About) -> Method:
    """Returns `hash KEY consistent;`."""
    if not needs(has, "hash_consistent", about, "hash … consistent"):
        return Method(allows_backup=False)
    if node.load_bound not in (0, _DEFAULT.load_bound):
        about.refuse("load_bound", "nginx bounds no load; 0 says so")
    elif node.load_bound:
        about.note("load_bound", "nginx bounds no load")
    if node.virtual_nodes != _DEFAULT.virtual_nodes:
        about.note("virtual_nodes", "nginx always has 160 points per weight")
    about.note("key", ANOTHER)
    key = key_variable(node.key, shared, about)
    nodes = () if key is None else (directive("hash", key, Word("consistent")),)
    return Method(nodes, allows_backup=False)
