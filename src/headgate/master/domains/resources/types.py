"""The types that describe config resources."""

from typing import Annotated, Any, Literal

from pydantic import Field

from headgate.master.api.filters import By, HasLabels, InFleet, Prefix
from headgate.master.api.types import Body, Moment, Versioned, View, Window
from headgate.master.domains.fleets.types import Labels
from headgate.master.domains.resources.set_names import DEFAULT_SET

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
    "nginx_imports",
]
"""The sections of the config that hold named objects, and imports of nginx configs."""
Spec = Annotated[
    dict[str, Any], Field(description="The object as the config's documents write it.")
]
MOST_OF_A_NAME = 200
ObjectName = Annotated[str, Field(min_length=1, max_length=MOST_OF_A_NAME)]
SetName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
_FLEETS = "It goes to fleets that have all of these labels; with none, to every fleet."
_LEFT_OUT = " Left out: as it was, and every fleet for a new object."


class ResourceWindow(Window):
    """The resources that are asked for."""

    kind: Kind | None = Field(default=None, description="Only those of this kind.")
    name_prefix: Prefix = None
    set: SetName | None = Field(default=None, description="Only those of this set.")
    fleet: InFleet = Field(
        default=None, description="Only those that go to this fleet (id or name)."
    )
    label: HasLabels = Field(
        default=[],
        description="Only those with the label NAME=VALUE in `fleets`; given more than once: with"
        " all of them.",
    )
    changed_by: By | None = Field(
        default=None, description="Only those that this user or token (id) wrote last."
    )


class InSet(Body):
    """The set that a write is of."""

    set: SetName = Field(
        default=DEFAULT_SET,
        description="The set that the write is of; objects of other sets are refused.",
    )
    take_over: bool = Field(
        default=False, description="Write it also if it belongs to another set; then to this one."
    )


class NewSpec(Body):
    """The content of an object to write."""

    spec: Spec
    fleets: Labels | None = Field(default=None, description=_FLEETS + _LEFT_OUT)


class Change(InSet):
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
    set: str = Field(description="The set that it belongs to.")
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
    set_name: str
    changed_at: int
    changed_by: str
