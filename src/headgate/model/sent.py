"""The bytes that a check by `tcp` or `udp` sends, and the answer that it must get."""

import re
from typing import Annotated, Final, NamedTuple, cast

from pydantic import Field, PlainValidator, ValidationInfo, WithJsonSchema

from headgate.features import syntax
from headgate.features.base import OneOf
from headgate.features.expressions import Pattern
from headgate.features.fields import EnvText
from headgate.features.values import FILE_SCHEMA, Secrets, named_file
from headgate.kernel.errors import Invalid
from headgate.plan.node import only
from headgate.plan.objects import Expect

_MOST_BYTES: Final = 4_096
_DIGITS: Final = re.compile(r"(?:[0-9A-Fa-f]{2})*")
_BYTES_ALLOWED: Final = 'write text such as "PING\\r\\n", or bytes such as { hex = "0d0a" }'
_SENT_ALLOWED: Final = f'{_BYTES_ALLOWED}, or {{ file = "…" }} for a secret'
_HEX_SCHEMA: Final = {
    "type": "object",
    "properties": {
        "hex": {
            "type": "string",
            "description": "Any bytes, two hexadecimal digits each; blanks between them are "
            "ignored.",
            "pattern": "^[0-9A-Fa-f \t\n\r]*$",
        }
    },
    "required": ["hex"],
    "additionalProperties": False,
}
_TEXT_SCHEMA: Final = {"type": "string", "maxLength": _MOST_BYTES}


class Sent(NamedTuple):
    """Bytes as hexadecimal digits, and whether nothing may show them."""

    digits: str
    is_secret: bool = False


def _digits(value: object, allowed: str) -> str:
    """Returns text, or `{ hex = "…" }`, as lower-case digits of its bytes."""
    if isinstance(value, str):
        try:
            digits = value.encode().hex()
        except UnicodeEncodeError:
            raise Invalid("the text is not UTF-8", allowed) from None
    elif isinstance(value, dict) and value.keys() == {"hex"} and isinstance(value["hex"], str):
        digits = "".join(value["hex"].split()).lower()
        if not _DIGITS.fullmatch(digits):
            raise Invalid(
                f"{syntax.described(value['hex'])} is not made of pairs of hexadecimal digits",
                allowed,
            )
    else:
        raise Invalid(f"{syntax.described(value)} is neither text nor bytes", allowed)
    if len(digits) > 2 * _MOST_BYTES:
        raise Invalid(f"there are {len(digits) // 2} bytes", f"write {_MOST_BYTES} at most")
    return digits


def _sent(value: object, info: ValidationInfo) -> Sent:
    path = named_file(value)
    if path is None and not isinstance(value, EnvText):
        return Sent(_digits(value, _SENT_ALLOWED))
    context = cast(Secrets, info.context)
    digits = _digits(value if path is None else context.text(path), _SENT_ALLOWED)
    if digits:
        context.hide(digits)
    return Sent(digits, is_secret=True)


def _expected(value: object) -> str:
    digits = _digits(value, _BYTES_ALLOWED)
    if not digits:
        raise Invalid("there is nothing to compare with", _BYTES_ALLOWED)
    return digits


SentBytes = Annotated[
    Sent,
    PlainValidator(_sent),
    WithJsonSchema({"anyOf": [_TEXT_SCHEMA, _HEX_SCHEMA, FILE_SCHEMA]}),
]
"""The bytes that are sent: text, bytes, or the text of a file as it is."""

ExpectedBytes = Annotated[
    str,
    PlainValidator(_expected),
    WithJsonSchema({"anyOf": [{**_TEXT_SCHEMA, "minLength": 1}, _HEX_SCHEMA]}),
]
"""The bytes that an answer is compared with, as hexadecimal digits."""


class Expectation(OneOf):
    """The answer that a check must get; an answer of UDP is its first datagram.

    An answer over TCP has no known end: it passes as soon as what has come of it does.
    """

    exact: ExpectedBytes | None = Field(
        default=None, description="The response is equal to this text, or these bytes."
    )
    prefix: ExpectedBytes | None = Field(
        default=None, description="The response begins with this text."
    )
    contains: ExpectedBytes | None = Field(
        default=None, description="This text is somewhere in the response."
    )
    regex: Pattern | None = Field(
        default=None,
        description="The expression matches the whole response, byte by byte. `.` matches any byte "
        "but a line feed, and in `(?s)…` a line feed, too.",
    )

    def to_plan(self) -> Expect:
        """Returns the plan node."""
        return only(Expect, self.chosen, getattr(self, self.chosen))
