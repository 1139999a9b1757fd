"""Values whose form in the plan depends on nothing that stands beside them."""

from collections.abc import Callable
from typing import Final, NamedTuple

from headgate.features import fields, syntax, templates
from headgate.features.expressions import pattern
from headgate.features.paths import without_trailing_slash
from headgate.kernel.errors import Invalid
from headgate.kernel.units import ByteSize, Duration

_MOST_PLAIN: Final = 999_999


class Plain(NamedTuple):
    """Values of one place: what the plan has for each is the parsed value alone."""

    parse: Callable[..., str | int]
    """Raises `Invalid` for a wrong value."""
    marker: Callable[[int], str | int] = "Opening-{}".format
    """Makes a value from a number of six digits; no config has it."""
    default: str | int | None = None
    """The plan leaves this parsed value out."""


def _number(value: int) -> int:
    """Returns a number that is in the range of every place, and makes no contradiction."""
    if not 0 < value <= _MOST_PLAIN:
        raise Invalid("the number is not plain", "")
    return value


def number(default: int) -> Plain:
    """Returns the numbers of a place with that default."""
    return Plain(_number, int, default)


def duration(default: Duration) -> Plain:
    """Returns the milliseconds of durations that may be `off`."""
    return Plain(lambda text: fields.duration(text, off=True).ms, "{}ms".format, default.ms)


def size(default: ByteSize | None = None) -> Plain:
    """Returns the bytes of sizes that may be `off`."""
    least = default.bytes if default is not None else None
    return Plain(lambda text: fields.size(text, off=True).bytes, "{}B".format, least)


TEXT: Final = Plain(str)
HOST: Final = Plain(syntax.host_pattern, "opening-{}".format)
PATH: Final = Plain(syntax.routed_path, "/opening-{}".format)
PREFIX: Final = Plain(lambda text: without_trailing_slash(syntax.routed_path(text)), PATH.marker)
EXPRESSION: Final = Plain(pattern)
HEADER_VALUE: Final = Plain(templates.header_value)
