"""Reads what a table with a mistake still says about others:
the names it refers to, its addresses.

A wrong timeout must not hide that the upstream does not exist either, or that another listener or
the node itself has the same address.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress

from headgate.compile.resolved import Ref
from headgate.features import syntax
from headgate.kernel.diagnostics import ConfigPath
from headgate.kernel.errors import Invalid
from headgate.kernel.nearest import nearest
from headgate.model.node import Node
from headgate.model.tls import BUILT_IN_POLICY
from headgate.plan.kinds import Kind
from headgate.plan.objects import place

_PATHS: dict[Kind, tuple[tuple[Kind, ConfigPath], ...]] = {
    "listener": (
        ("tls_policy", ("tls", "policy")),
        ("certificate", ("tls", "default_certificate")),
    ),
    "host": (
        ("certificate", ("certificate",)),
        ("tls_policy", ("tls_policy",)),
        ("middleware", ("middlewares",)),
    ),
    "route": (
        ("listener", ("listeners",)),
        ("middleware", ("middlewares",)),
        ("upstream", ("upstream",)),
        ("upstream", ("split", "*", "upstream")),
        ("upstream", ("mirror", "upstream")),
        ("upstream", ("mirror", "*", "upstream")),
    ),
    "tcp_route": (
        ("listener", ("listeners",)),
        ("upstream", ("upstream",)),
        ("upstream", ("split", "*", "upstream")),
    ),
    "udp_route": (("listener", ("listeners",)), ("upstream", ("upstream",))),
    "upstream": (("certificate", ("tls", "client_certificate")),),
}
"""The places where each kind refers to others; `*` stands for every index."""


def written_refs(kind: Kind, value: object) -> tuple[Ref, ...]:
    """Returns every name at a place where a name belongs; values of other types are skipped."""
    return tuple(
        Ref(target, name, at)
        for target, path in _PATHS.get(kind, ())
        for name, at in _names(value, path, ())
        if not (target == "tls_policy" and name == BUILT_IN_POLICY)
    )


def written_addresses(kind: Kind, value: object) -> tuple[tuple[int, str], ...]:
    """Returns the valid addresses of a listener, as places of sockets,
    with their indexes in the list; none for other kinds.
    """
    if kind != "listener":
        return ()
    of_udp = isinstance(value, Mapping) and value.get("protocol") == "udp"
    found = {}
    for text, at in _names(value, ("address",), ()):
        with suppress(Invalid):
            found[int(at[1]) if len(at) > 1 else 0] = place(
                syntax.listen_address(text), "udp" if of_udp else "tcp"
            )
    return tuple(found.items())


def node_addresses(value: Mapping[str, object]) -> dict[str, str]:
    """Returns the valid addresses that `[node]` gives to itself, and the key that sets each."""
    found = {}
    for key in ("metrics", "admin"):
        for text, _ in _names(value, (key,), ()):
            with suppress(Invalid):
                found[syntax.listen_address(text)] = f"node.{key}"
    return found


def has_default_admin(value: Mapping[str, object]) -> bool:
    """Reports whether `[node]` leaves `admin` at its default; a misspelled key may mean it."""
    unknown = (key for key in value if key not in Node.model_fields)
    return "admin" not in value and not any(nearest(key, ("admin",)) for key in unknown)


def _names(value: object, path: ConfigPath, at: ConfigPath) -> Iterator[tuple[str, ConfigPath]]:
    if not path:
        if isinstance(value, str):
            yield value, at
        elif isinstance(value, list):
            yield from ((v, (*at, i)) for i, v in enumerate(value) if isinstance(v, str))
    elif path[0] == "*":
        for index, item in enumerate(value if isinstance(value, list) else ()):
            yield from _names(item, path[1:], (*at, index))
    elif isinstance(value, dict) and path[0] in value:
        yield from _names(value[path[0]], path[1:], (*at, path[0]))
