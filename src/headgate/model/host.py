"""`[hosts."NAME"]`: a virtual host, inherited by its routes."""

from typing import Annotated

from pydantic import Field

from headgate.features.base import Options
from headgate.features.fields import Flag
from headgate.model.choice import MiddlewareRef
from headgate.model.shorthand import ONE_OR_MORE, OR_ITEM


class Host(Options):
    """A virtual host: what its routes inherit. Its name is the host."""

    certificate: Annotated[list[str], ONE_OR_MORE, OR_ITEM] = Field(
        default_factory=list,
        description="The certificate for this name, or several (one ECDSA, one RSA).",
    )
    tls_policy: str | None = Field(
        default=None, description="The TLS policy; absent = the one of the listener."
    )
    allow_plain: Flag = Field(
        default=False,
        description="Whether routes may serve the host on plain listeners although its TLS "
        "policy requires client certificates. Such routes are refused by default.",
    )
    middlewares: list[MiddlewareRef] = Field(
        default_factory=list,
        description="Middlewares by name or inline; they run before those of a route that names "
        "this host itself. Hosts below a wildcard do not inherit its middlewares.",
    )
