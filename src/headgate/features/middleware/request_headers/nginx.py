"""`request_headers` in nginx: `proxy_set_header`, all of them in every location that has one."""

from typing import Final

from headgate.features.nginx import JOINED, About, Parity
from headgate.features.nginx_chain import Chain
from headgate.plan.middleware import HeaderEdits

PARITY: Final = (
    Parity(
        "middlewares.NAME.request_headers.set",
        "differs",
        "`${endpoint}` is refused where an upstream has several endpoints",
    ),
    Parity("middlewares.NAME.request_headers.add", "differs", f"of the client, {JOINED}"),
    Parity("middlewares.NAME.request_headers.remove", "same"),
)


def apply(node: HeaderEdits, chain: Chain, about: About) -> None:
    """Adds edits of the request's headers to a chain."""
    chain.request.then(chain.edits(node, about))
