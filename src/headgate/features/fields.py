"""The types of single values in the config: durations, sizes, names of headers, addresses.

Each is a Pydantic annotation that turns text into a parsed value or raises `Invalid`, which says
what is wrong and what is allowed; and carries its JSON Schema.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Annotated, Final, TypeVar

from pydantic import AfterValidator, BeforeValidator, PlainValidator, Strict, WithJsonSchema

from headgate.features import syntax
from headgate.kernel.errors import Invalid
from headgate.kernel.units import (
    DURATION_ALLOWED,
    OFF_ALLOWED,
    SIZE_ALLOWED,
    ByteSize,
    Duration,
)

DURATION_PATTERN: Final = r"^[0-9]+(\.[0-9]+)? ?(ms|s|m|h|d)$"
SIZE_PATTERN: Final = r"^[0-9]+(\.[0-9]+)? ?(B|kB|KB|MB|GB|KiB|MiB|GiB)$"


_Bounded = TypeVar("_Bounded", Duration, ByteSize)


class EnvText(str):
    """Text that came out of the environment, where everything is text: it may be a number."""

    __slots__ = ()


def _text(what: str, allowed: str, value: object) -> str:
    if not isinstance(value, str):
        raise Invalid(f"{syntax.described(value)} is not {what}", allowed)
    return value


def at_most(most: _Bounded, why: str) -> AfterValidator:
    """Bounds a duration or a size; a greater one raises `Invalid` with the reason."""

    def bounded(value: _Bounded) -> _Bounded:
        if value > most:
            raise Invalid(f'"{value}" {why}', f'write at most "{most}"')
        return value

    return AfterValidator(bounded)


def parsed(parse: Callable[[str], object], what: str, allowed: str) -> PlainValidator:
    """Validates text by a parser; anything but text is not `what`."""

    def validate(value: object) -> object:
        return parse(value if type(value) is str else _text(what, allowed, value))

    return PlainValidator(validate)


def duration(value: object, *, off: bool) -> Duration:
    """Returns a duration; 0 stands for `"off"` if that is allowed."""
    if type(value) is Duration:
        return value
    allowed = DURATION_ALLOWED + (OFF_ALLOWED if off else "")
    text = _text("a duration", allowed, value)
    if text == "off" and off:
        return Duration(0)
    try:
        found = Duration.parse(text)
    except Invalid as wrong:
        raise Invalid(wrong.what, wrong.allowed + (OFF_ALLOWED if off else "")) from None
    if found.ms == 0:
        raise Invalid(f'"{text}" is a duration of zero', allowed)
    return found


def size(value: object, *, off: bool) -> ByteSize:
    """Returns a size; 0 stands for `"off"` if that is allowed."""
    if type(value) is ByteSize:
        return value
    allowed = SIZE_ALLOWED + (OFF_ALLOWED if off else "")
    text = _text("a size", allowed, value)
    if text == "off" and off:
        return ByteSize(0)
    try:
        found = ByteSize.parse(text)
    except Invalid as wrong:
        raise Invalid(wrong.what, wrong.allowed + (OFF_ALLOWED if off else "")) from None
    if found.bytes == 0:
        raise Invalid(f'"{text}" leaves no room at all', allowed)
    return found


def number(value: object) -> object:
    """Returns a number from the environment; any other value unchanged."""
    if type(value) is EnvText and _NUMBER.fullmatch(value):
        return int(value)
    return value


def truth(value: object) -> object:
    """Returns a truth value from the environment; any other value unchanged."""
    if type(value) is EnvText:
        return {"true": True, "false": False}.get(value, value)
    return value


def count_or_off(most: int) -> PlainValidator:
    """Returns the validator of a count from 1 to `most`; 0 stands for `"off"`."""

    def validate(value: object) -> object:
        if value == "off":
            return 0
        count = number(value)
        if isinstance(count, int) and not isinstance(count, bool) and 0 < count <= most:
            return count
        raise Invalid(
            f"{syntax.described(value)} is not a limit",
            f'write a whole number from 1 to {most}, or "off"',
        )

    return PlainValidator(validate)


def _percent_or_off(value: object) -> object:
    """Returns a percentage, 0 standing for `"off"`."""
    if value == "off":
        return 0
    percent = number(value)
    if isinstance(percent, int) and not isinstance(percent, bool) and 0 < percent <= 100:  # noqa: PLR2004
        return percent
    raise Invalid(
        f"{syntax.described(value)} is not a percentage", 'write a number from 1 to 100, or "off"'
    )


FROM_ENV: Final = BeforeValidator(number)
"""After the bounds of a strict int: lets the environment's text be a number."""

Flag = Annotated[bool, Strict(), BeforeValidator(truth)]
CountOrOff = Annotated[
    int,
    count_or_off(syntax.MAX_COUNT),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": syntax.MAX_COUNT},
                {"const": "off"},
            ]
        }
    ),
]

PercentOrOff = Annotated[
    int,
    PlainValidator(_percent_or_off),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 100}, {"const": "off"}]}
    ),
]

_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,18}")
_DURATION_SCHEMA: Final = {"type": "string", "pattern": DURATION_PATTERN, "format": "duration"}
_SIZE_SCHEMA: Final = {"type": "string", "pattern": SIZE_PATTERN, "format": "size"}

DurationText = Annotated[
    Duration, PlainValidator(partial(duration, off=False)), WithJsonSchema(_DURATION_SCHEMA)
]
DurationOrOff = Annotated[
    Duration,
    PlainValidator(partial(duration, off=True)),
    WithJsonSchema({"anyOf": [_DURATION_SCHEMA, {"const": "off"}]}),
]
SizeText = Annotated[
    ByteSize, PlainValidator(partial(size, off=False)), WithJsonSchema(_SIZE_SCHEMA)
]
HeadSize = Annotated[SizeText, at_most(ByteSize.parse("1GiB"), "is more than a head may have")]
SizeOrOff = Annotated[
    ByteSize,
    PlainValidator(partial(size, off=True)),
    WithJsonSchema({"anyOf": [_SIZE_SCHEMA, {"const": "off"}]}),
]


HostPattern = Annotated[
    str,
    parsed(syntax.host_pattern, "a host", syntax.HOST_ALLOWED),
    WithJsonSchema({"type": "string", "format": "host-pattern"}),
]
HostName = Annotated[
    str,
    parsed(syntax.host_name, "a host", syntax.HOST_NAME_ALLOWED),
    WithJsonSchema({"type": "string", "format": "host"}),
]
ServerName = Annotated[
    str,
    parsed(syntax.server_name, "a name", syntax.SERVER_NAME_ALLOWED),
    WithJsonSchema({"type": "string", "format": "host-pattern"}),
]
Alpn = Annotated[
    str,
    parsed(syntax.alpn, "the name of a protocol", syntax.ALPN_ALLOWED),
    WithJsonSchema({"type": "string", "pattern": "^[!-~]{1,255}$"}),
]
HeaderName = Annotated[
    str,
    parsed(syntax.header_name, "a header name", syntax.HEADER_NAME_ALLOWED),
    WithJsonSchema({"type": "string", "format": "header-name"}),
]
CookieName = Annotated[
    str,
    parsed(syntax.cookie_name, "the name of a cookie", syntax.COOKIE_NAME_ALLOWED),
    WithJsonSchema({"type": "string", "format": "cookie-name"}),
]
"""The name of any cookie of a request; `model.cookie` has that of a cookie that we set."""
Method = Annotated[
    str,
    parsed(syntax.method, "a method", syntax.METHOD_ALLOWED),
    WithJsonSchema({"type": "string", "format": "method"}),
]
Cidr = Annotated[
    str,
    parsed(syntax.cidr, "a network", syntax.CIDR_ALLOWED),
    WithJsonSchema({"type": "string", "format": "cidr"}),
]
ListenAddress = Annotated[
    str,
    parsed(syntax.listen_address, "an address", syntax.LISTEN_ALLOWED),
    WithJsonSchema({"type": "string", "format": "listen-address"}),
]
EndpointAddress = Annotated[
    str,
    parsed(syntax.endpoint_address, "an address", syntax.ENDPOINT_ALLOWED),
    WithJsonSchema({"type": "string", "format": "endpoint-address"}),
]
RoutedPath = Annotated[
    str,
    parsed(syntax.routed_path, "a path", syntax.PATH_ALLOWED),
    WithJsonSchema({"type": "string", "format": "path"}),
]
Regex = Annotated[
    str,
    parsed(syntax.regex, "a regular expression", syntax.REGEX_ALLOWED),
    WithJsonSchema({"type": "string", "format": "regex"}),
]
