"""`maglev` in nginx: `hash … consistent` (ketama), the consistent hash that it has."""

from typing import Final

from headgate.features.balancer.maglev.spec import MaglevNode
from headgate.features.nginx import About, Parity, Shared
from headgate.features.nginx_balance import ANOTHER, Has, Method, key_variable, needs
from headgate.nginxtext.writer import Word, directive

PARITY: Final = (
    Parity("upstreams.NAME.balance.maglev.key", "differs", ANOTHER),
    Parity("upstreams.NAME.balance.maglev.table_size", "differs", "a ring, not a table"),
)

_DEFAULT: Final = MaglevNode("")


def method(node: MaglevNode, shared: Shared, has: Has, about: About) -> Method:
    """Returns `hash KEY consistent;`."""
    if not needs(has, "hash_consistent", about, "hash … consistent"):
        return Method(allows_backup=False)
    if node.table_size != _DEFAULT.table_size:
        about.note("table_size", "nginx hashes on a ring, not in a table")
    about.note("key", ANOTHER)
    key = key_variable(node.key, shared, about)
    nodes = () if key is None else (directive("hash", key, Word("consistent")),)
    return Method(nodes, allows_backup=False)
