"""Conditions on a value and edits of headers: shapes that several features share."""

from typing import Annotated, Final, Protocol, cast

from pydantic import BeforeValidator, Field, PlainValidator, ValidationInfo, WithJsonSchema

from headgate.features import syntax, templates
from headgate.features.base import OneOf, Options
from headgate.features.expressions import Pattern
from headgate.features.plain import EXPRESSION, TEXT
from headgate.kernel.errors import Invalid
from headgate.kernel.key_sets import KeySetUrl
from headgate.plan.middleware import HeaderEdits as HeaderEditsNode
from headgate.plan.node import only
from headgate.plan.objects import ValueMatch

_OURS = frozenset(
    {
        "connection",
        "content-length",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "expect",
    }
)


def _only_true(value: object) -> bool:
    if value is not True:
        raise Invalid(f"{syntax.described(value)} means nothing here", "write true, the only value")
    return True


True_ = Annotated[bool, PlainValidator(_only_true), WithJsonSchema({"const": True})]


CONDITION: Final = {"exact": TEXT, "prefix": TEXT, "regex": EXPRESSION}
"""The plain values of a condition."""


class ValueCondition(OneOf):
    """A condition on the value of a header, a cookie or a query parameter."""

    exact: str | None = Field(default=None, description="The value is equal to this text.")
    prefix: str | None = Field(default=None, description="The value begins with this text.")
    regex: Pattern | None = Field(
        default=None, description="The expression matches the whole value."
    )
    present: True_ | None = Field(default=None, description="It must be present, with any value.")
    absent: True_ | None = Field(default=None, description="It must be absent.")

    def to_plan(self) -> ValueMatch:
        """Returns the condition's plan node."""
        return only(ValueMatch, self.chosen, getattr(self, self.chosen))


class Secrets(Protocol):
    """The validation context: how `{ file = "…" }` and `{ url = "…" }` are read."""

    def text(self, path: str) -> str:
        """Returns the text of a file; raises `Invalid` if there is none."""
        ...

    def secret(self, path: str) -> str:
        """Returns the text of a file without its last line end;
        raises `Invalid` if there is none.
        """
        ...

    def private(self, path: str) -> str:
        """Returns the same as `secret`, of a file that not every user of the host may read."""
        ...

    def hide(self, text: str) -> None:
        """Remembers a text of the plan that nothing may show."""
        ...

    def fetched(self, wanted: KeySetUrl) -> str | None:
        """Returns what was last fetched from there: empty if nothing ever was, None where nothing
        is served. Remembers that it is wanted.
        """
        ...


def named_file(value: object) -> str | None:
    """Returns the path that `{ file = "…" }` names; None for anything else."""
    if isinstance(value, dict) and value.keys() == {"file"} and isinstance(value["file"], str):
        return value["file"]
    return None


def _header_value(value: object, info: ValidationInfo) -> str:
    context = cast(Secrets, info.context)
    if isinstance(value, str):
        return templates.header_value(value)
    if (path := named_file(value)) is not None:
        secret = templates.escaped(context.secret(path))
        context.hide(secret)
        return templates.header_value(secret)
    raise Invalid(
        f"{syntax.described(value)} is not a header's value", 'write text, or { file = "…" }'
    )


FILE_SCHEMA: Final = {
    "type": "object",
    "properties": {"file": {"type": "string", "description": "A file with the value."}},
    "required": ["file"],
    "additionalProperties": False,
}
"""Of a value that a file may hold."""

HeaderValue = Annotated[
    str,
    PlainValidator(_header_value),
    WithJsonSchema({"anyOf": [{"type": "string", "format": "template"}, FILE_SCHEMA]}),
]
"""A header's value: one line with variables, or a secret from a file."""


def _editable(name: str) -> str:
    if name in _OURS:
        raise Invalid(
            f'"{name}" belongs to the connection', "leave it out: headgate sets it by itself"
        )
    return name


def _edited_name(value: object) -> str:
    if not isinstance(value, str):
        raise Invalid(f"{syntax.described(value)} is not a header name", syntax.HEADER_NAME_ALLOWED)
    return _editable(syntax.header_name(value))


EditedName = Annotated[
    str,
    PlainValidator(_edited_name),
    WithJsonSchema({"type": "string", "format": "header-name"}),
]


def _distinct(value: object) -> object:
    """Returns the map, unchanged; raises `Invalid` if two of its keys are one header."""
    if isinstance(value, dict) and len(value) > 1:
        seen: dict[str, str] = {}
        for key in value:
            before = seen.setdefault(str(key).lower(), key)
            if before is not key:
                raise Invalid(
                    f'"{before}" and "{key}" are one header',
                    "write each header once",
                    at=(str(key),),
                )
    return value


DISTINCT_HEADERS = BeforeValidator(_distinct)
"""Before a map by header name: names differ in more than case."""

HeaderMap = Annotated[dict[EditedName, HeaderValue], DISTINCT_HEADERS]
"""Header values by name."""


class HeaderEdits(Options):
    """Edits of headers, in the order remove, set, add."""

    set: HeaderMap = Field(
        default_factory=dict,
        description="Headers to set; an existing header is replaced. Values may contain variables.",
    )
    add: HeaderMap = Field(
        default_factory=dict,
        description="Headers to add; an existing header stays. Values may contain variables.",
    )
    remove: list[EditedName] = Field(
        default_factory=list, description="Names of headers to remove."
    )

    def edits(self) -> HeaderEditsNode:
        """Returns the edits' plan node."""
        return HeaderEditsNode(set=self.set, add=self.add, remove=tuple(sorted(set(self.remove))))
