"""The kinds of plan objects and the identity of one: (kind, name)."""

from typing import Final, Literal, NamedTuple

from headgate.kernel.ids import ObjectName

Kind = Literal[
    "settings",
    "listener",
    "host",
    "route",
    "middleware",
    "upstream",
    "certificate",
    "tls_policy",
    "tcp_route",
    "udp_route",
]

KINDS: Final[tuple[Kind, ...]] = (
    "settings",
    "listener",
    "host",
    "route",
    "middleware",
    "upstream",
    "certificate",
    "tls_policy",
    "tcp_route",
    "udp_route",
)

SETTINGS_NAME: Final = ObjectName("node")
"""The name of the one settings object."""


class ObjectKey(NamedTuple):
    """An object's identity; state in the data plane is keyed by it and survives every change."""

    kind: Kind
    name: ObjectName
