"""`response_headers` in nginx: `proxy_hide_header` and `add_header … always`.

A location with an `add_header` of its own inherits none, so every location has all of its own.
"""

from typing import Final

from headgate.features.nginx import About, Parity
from headgate.features.nginx_chain import Chain
from headgate.plan.middleware import HeaderEdits

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
)

_OF_NGINX: Final = ("server", "date")


def apply(node: HeaderEdits, chain: Chain, about: About) -> None:
    """Adds edits of the response's headers to a chain."""
    for key, names in (("set", node.set), ("add", node.add)):
        for name in names:
            if name in _OF_NGINX:
                about.refuse(f"{key}.{name}", "nginx writes this header by itself")
    for name in node.remove:
        if name in _OF_NGINX:
            about.note("remove", f"nginx adds its own `{name}` in place of the upstream's")
    chain.response.append(chain.edits(node, about))
