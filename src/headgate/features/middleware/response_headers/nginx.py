"""`response_headers` in nginx: `proxy_hide_header` and `add_header … always`.

A location with an `add_header` of its own inherits none, so every location has all of its own. What
some statuses alone get is a map of `$status`: nginx writes no header whose value is empty.
"""

from typing import Final

from headgate.features.nginx import About, Parity, as_arg
from headgate.features.nginx_chain import Chain
from headgate.features.nginx_headers import Edits
from headgate.features.statuses import Range, expression
from headgate.nginxtext.writer import Literal, Regex, Var
from headgate.plan.middleware import ResponseEdits

PARITY: Final = (
    Parity(
        "middlewares.NAME.response_headers.set",
        "differs",
        "`server` and `date` are refused: nginx writes them by itself",
    ),
    Parity("middlewares.NAME.response_headers.add", "differs", "`server` and `date` are refused"),
    Parity(
        "middlewares.NAME.response_headers.remove",
        "differs",
        "`server` and `date` of the upstream are removed, but nginx adds its own",
    ),
    Parity(
        "middlewares.NAME.response_headers.statuses",
        "differs",
        "with `add` alone; `set` and `remove` beside it are refused",
    ),
)

_OF_NGINX: Final = ("server", "date")
_STATUS: Final = Var("status")


def apply(node: ResponseEdits, chain: Chain, about: About) -> None:
    """Adds edits of the response's headers to a chain."""
    for key, names in (("set", node.set), ("add", node.add)):
        for name in names:
            if name in _OF_NGINX:
                about.refuse(f"{key}.{name}", "nginx writes this header by itself")
    for name in node.remove:
        if name in _OF_NGINX:
            about.note("remove", f"nginx adds its own `{name}` in place of the upstream's")
    edits = chain.edits(node, about)
    if node.statuses:
        if edits.set or edits.remove:
            about.refuse("statuses", "nginx replaces and removes headers whatever the status")
        edits = _of_statuses(edits, node.statuses, chain)
    chain.response.append(edits)


def _of_statuses(edits: Edits, statuses: tuple[Range, ...], chain: Chain) -> Edits:
    fits = Regex("~^(?:" + "|".join(map(expression, statuses)) + ")$")
    lines = (
        (name, (chain.shared.map("header", _STATUS, ((fits, as_arg(value)),), Literal("")),))
        for name, value in edits.add
    )
    return Edits(add=tuple(lines))
