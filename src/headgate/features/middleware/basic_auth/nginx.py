"""`basic_auth` in nginx: refused, because nothing writes a password file for it."""

from typing import Final

from headgate.features.middleware.basic_auth.spec import BasicAuth, BasicAuthNode
from headgate.features.nginx import About, Parity
from headgate.features.nginx_chain import Chain

_WHY: Final = "headgate writes no password files for nginx yet"

PARITY: Final = tuple(
    Parity(f"middlewares.NAME.basic_auth.{key}", "no", _WHY) for key in BasicAuth.model_fields
)


def apply(node: BasicAuthNode, chain: Chain, about: About) -> None:
    """Refuses the middleware: a route that asks for a password is never rendered open."""
    about.refuse("", _WHY)
