"""`jwt` in nginx: refused, because free nginx verifies no signatures."""

from typing import Final

from headgate.features.middleware.jwt.spec import Jwt, JwtNode
from headgate.features.nginx import About, Parity
from headgate.features.nginx_chain import Chain

_WHY: Final = "nginx verifies no signatures of tokens (NGINX Plus does)"

PARITY: Final = tuple(
    Parity(f"middlewares.NAME.jwt.{key}", "no", _WHY)
    for key in (
        *Jwt.model_fields,
        "keys.file",
        "keys.url",
        "keys.refresh",
        "keys.max_stale",
        "keys.ca_file",
    )
    if key != "keys"
)


def apply(node: JwtNode, chain: Chain, about: About) -> None:
    """Refuses the middleware."""
    about.refuse("", _WHY)
