"""The types that describe templates, and virtual hosts that are made of them."""

from typing import Annotated, Literal

from pydantic import Field, StrictBool, StrictInt, StrictStr

from headgate.master.api.filters import HasLabels, InFleet, Prefix
from headgate.master.api.types import Body, Moment, Name, Versioned, View, Window
from headgate.master.domains.fleets.types import LabelKey, Labels
from headgate.master.domains.resources.types import Kind, ObjectName, SetName, Spec

ParameterName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Value = StrictBool | StrictInt | StrictStr
Values = Annotated[dict[ParameterName, Value], Field(max_length=50)]
NodeName = Annotated[str, Field(min_length=1, max_length=255)]
Nodes = Annotated[dict[NodeName, Values], Field(max_length=1_000)]


class TemplateWindow(Window):
    """The templates that are asked for."""

    name_prefix: Prefix = None
    set: SetName | None = Field(default=None, description="Only those of this set.")


class VirtualHostWindow(TemplateWindow):
    """The virtual hosts that are asked for."""

    template: str | None = Field(
        default=None, min_length=1, max_length=63, description="Only those made of this template."
    )
    fleet: InFleet = Field(
        default=None, description="Only those whose objects go to this fleet (id or name)."
    )
    label: HasLabels = Field(
        default=[],
        description="Only those with the label NAME=VALUE in `fleets`; given more than once: with"
        " all of them.",
    )


class Parameter(Body):
    """A value that a template lets its virtual hosts choose."""

    type: Literal["string", "integer", "boolean", "enum", "host", "upstream"] = Field(
        description="`host` is a host name, `upstream` the name of an upstream."
    )
    description: str = Field(default="", max_length=500)
    default: Value | None = Field(default=None, description="Null: every virtual host gives one.")
    values: list[Annotated[str, Field(max_length=200)]] = Field(
        default=[], max_length=100, description="What an `enum` may be."
    )
    minimum: int = Field(default=0, description="Of an `integer`.")
    maximum: int = Field(default=1_000_000_000, description="Of an `integer`.")
    longest: Annotated[int, Field(ge=1, le=1_000)] = Field(
        default=200, description="How many characters a `string` may have."
    )
    per_node: bool = Field(
        default=False,
        description="Each node has a value of its own: of the virtual host's `nodes`, else the"
        " node's label, else the virtual host's `values`, else the default.",
    )
    label: LabelKey | None = Field(
        default=None,
        description="The label of nodes that has the value; null: the parameter's name, with `-`"
        " for `_`. For `per_node` only.",
    )

    def label_of(self, name: str) -> str:
        """Returns the label of nodes that has the value of a parameter of that name."""
        return self.label or name.replace("_", "-")


class TemplateObject(Body):
    """An object that each virtual host gets; texts of `name` and `spec` may have `{{ name }}`."""

    kind: Kind
    name: ObjectName
    spec: Spec


class Source(Body):
    """The document that a template was written in."""

    file: str = Field(max_length=500)
    lines: dict[ParameterName, Annotated[int, Field(ge=1)]] = Field(
        max_length=50, description="Where its objects name a parameter first, by parameter."
    )


class NewTemplate(Body):
    """The content of a template to write."""

    parameters: dict[ParameterName, Parameter] = Field(default={}, max_length=50)
    objects: list[TemplateObject] = Field(min_length=1, max_length=50)
    source: Source | None = Field(
        default=None, description="For messages: where somebody wrote it; null: nowhere."
    )


class Template(Versioned):
    """Objects with parameters, of which virtual hosts are made."""

    name: str
    parameters: dict[str, Parameter]
    objects: list[TemplateObject]
    source: Source | None
    set: str = Field(description="The set that it belongs to.")
    changed_at: Moment


class PutTemplate(Template):
    """A template that was written, and the draft that takes its virtual hosts along."""

    draft: str | None = Field(
        description="The draft with what the template's virtual hosts would become; null: nothing"
        " of them changes. Until it is published they stay as they are."
    )


class NewVirtualHost(Body):
    """The content of a virtual host to write."""

    template: Name
    values: Values = Field(default={})
    fleets: Labels = Field(
        default={},
        description="Its objects go to fleets that have all of these labels; with none, to every"
        " fleet.",
    )
    nodes: Nodes = Field(
        default={},
        description="Values of nodes, by the name or id of the agent; for parameters with"
        " `per_node`.",
    )


class VirtualHost(Versioned):
    """Config resources that are made of a template, and stay linked to it."""

    name: str
    template: str
    values: dict[str, Value]
    fleets: dict[str, str]
    nodes: dict[str, dict[str, Value]]
    objects: list[str] = Field(description="The paths of its resources.")
    set: str = Field(description="The set that it belongs to, and its resources when it is made.")
    changed_at: Moment


class TemplateRow(View):
    """A template as the database has it."""

    id: str
    version: int
    name: str
    body: str
    set_name: str
    changed_at: int


class VirtualHostRow(View):
    """A virtual host as the database has it."""

    id: str
    version: int
    name: str
    template: str
    given: str
    fleets: str
    nodes: str | None
    """The values of nodes as JSON; None: its template has no parameters of nodes."""
    objects: str
    set_name: str
    changed_at: int
