"""The types that describe config resources."""

from typing import Annotated, Any, Literal

from pydantic import Field

from headgate.master.api.types import Body, Moment, Versioned, View
from headgate.master.domains.fleets.types import Labels

Kind = Literal[
    "listeners",
    "hosts",
    "routes",
    "tcp_routes",
    "udp_routes",
    "middlewares",
    "upstreams",
    "certificates",
    "tls_policies",
]
"""The sections of the config that hold named objects."""
Spec = Annotated[
    dict[str, Any], Field(description="The object as the config's documents write it.")
]
MOST_OF_A_NAME = 200
ObjectName = Annotated[str, Field(min_length=1, max_length=MOST_OF_A_NAME)]


_FLEETS = "It goes to fleets that have all of these labels; with none, to every fleet."
_LEFT_OUT = " Left out: as it was, and every fleet for a new object."


class NewSpec(Body):
    """The content of an object to write."""

    spec: Spec
    fleets: Labels | None = Field(default=None, description=_FLEETS + _LEFT_OUT)


class Change(Body):
    """An object to write, or with `spec` null to remove."""

    kind: Kind
    name: ObjectName
    spec: Spec | None
    fleets: Labels | None = Field(default=None, description=_FLEETS + _LEFT_OUT)


class Resource(Versioned):
    """An object of the config."""

    kind: Kind
    name: str
    spec: Spec
    path: str = Field(description="Its place in a revision, and in messages about it.")
    fleets: dict[str, str] = Field(description=_FLEETS)
    changed_at: Moment
    changed_by: str = Field(description="The id of the user or token that wrote it last.")


class Row(View):
    """A resource as the database has it: the spec as canonical JSON."""

    id: str
    version: int
    kind: Kind
    name: str
    path: str
    spec: str
    fleets: str
    changed_at: int
    changed_by: str
