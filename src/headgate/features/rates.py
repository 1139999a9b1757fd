"""Rates of requests and what limits count by, as the config writes them."""

import re
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import PlainValidator, WithJsonSchema

from headgate.features import syntax
from headgate.features.templates import claim
from headgate.kernel.errors import Invalid
from headgate.kernel.units import Duration

RATE_ALLOWED: Final = (
    'write requests and a time, "100/s", "600/m", "1000/h" or "5000/d", or '
    '{ requests = 100, per = "10s" }'
)
MAX_REQUESTS: Final = 1_000_000
_MIN_MS: Final = 1_000
_MAX_MS: Final = 86_400_000
_PERIODS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_RATE = re.compile(r"([0-9]{1,9}) ?/ ?([smhd])")

PART_ALLOWED: Final = (
    'write "client_ip", "host", "route", "path", "path:NUMBER", "header:NAME", "cookie:NAME", '
    '"jwt:CLAIM", or a list of them; "all" = all requests together'
)
_BARE: Final = ("client_ip", "host", "route", "path")
_MAX_SEGMENT: Final = 64
_MAX_PARTS: Final = 8


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests in such a time, evenly: 1 to 1,000,000 in 1 second to 1 day."""

    requests: int
    period_ms: int

    def __str__(self) -> str:
        for word, period_ms in _PERIODS.items():
            if period_ms == self.period_ms:
                return f"{self.requests}/{word}"
        return f"{self.requests} in {Duration(self.period_ms)}"


def keyed(key: tuple[str, ...]) -> str:
    """Returns in words what a limit counts by.

    >>> keyed(("client_ip", "header:x-tenant"))
    'by client_ip and header:x-tenant'
    >>> keyed(())
    'all requests together'
    """
    return f"by {' and '.join(key)}" if key else "all requests together"


def rate_of(value: object) -> Rate:
    """Returns the rate that a value of the config says; raises `Invalid` for anything else.

    >>> rate_of("600/m")
    Rate(requests=600, period_ms=60000)
    >>> str(rate_of({"requests": 5, "per": "10s"}))
    '5 in 10s'
    """
    if isinstance(value, Rate):
        return value
    if isinstance(value, dict):
        return _table(value)
    if not isinstance(value, str):
        raise Invalid(f"{syntax.described(value)} is not a rate", RATE_ALLOWED)
    found = _RATE.fullmatch(value)
    if found is None:
        raise Invalid(f'"{value}" is not a rate', RATE_ALLOWED)
    return _checked(int(found[1]), _PERIODS[found[2]])


def _table(value: dict[object, object]) -> Rate:
    if value.keys() != {"requests", "per"}:
        raise Invalid("the table is not a rate", RATE_ALLOWED)
    requests, per = value["requests"], value["per"]
    if isinstance(requests, bool) or not isinstance(requests, int):
        raise Invalid(f"{syntax.described(requests)} is not a number of requests", RATE_ALLOWED)
    if not isinstance(per, str):
        raise Invalid(f"{syntax.described(per)} is not a time", RATE_ALLOWED)
    return _checked(requests, Duration.parse(per).ms)


def _checked(requests: int, period_ms: int) -> Rate:
    if not 1 <= requests <= MAX_REQUESTS:
        raise Invalid(f"{requests} requests are out of range", "write 1 to 1000000 requests")
    if not _MIN_MS <= period_ms <= _MAX_MS:
        raise Invalid(f"{Duration(period_ms)} is out of range", 'write a time of "1s" to "1d"')
    return Rate(requests, period_ms)


def parts_of(value: object) -> tuple[str, ...]:
    """Returns what a limit counts by; nothing = all requests together; raises `Invalid`.

    >>> parts_of("all"), parts_of(["client_ip", "header:X-Tenant"])
    ((), ('client_ip', 'header:x-tenant'))
    """
    if value == "all":
        return ()
    parts = value if isinstance(value, list | tuple) else [value]
    if not 1 <= len(parts) <= _MAX_PARTS:
        raise Invalid(f"a list of {len(parts)} is out of range", "write 1 to 8 of them")
    found = tuple(_part(one) for one in parts)
    if len(set(found)) < len(found):
        raise Invalid("the list names something twice", PART_ALLOWED)
    return found


def _part(value: object) -> str:
    if not isinstance(value, str):
        raise Invalid(f"{syntax.described(value)} is nothing to count by", PART_ALLOWED)
    if value in _BARE:
        return value
    source, _, name = value.partition(":")
    if source == "path" and re.fullmatch("[0-9]{1,9}", name) and 1 <= int(name) <= _MAX_SEGMENT:
        return f"path:{int(name)}"
    if source == "path":
        raise Invalid(f'"{name}" is no segment of a path', "write 1 (the first one) to 64")
    if source == "jwt" and name:
        return f"jwt:{claim(name)}"
    if source not in ("header", "cookie") or ":" not in value:
        raise Invalid(f'"{value}" is nothing to count by', PART_ALLOWED)
    try:
        token = syntax.header_name(name)
    except Invalid:
        raise Invalid(f'"{name}" is not the name of a {source}', PART_ALLOWED) from None
    return f"header:{token}" if source == "header" else value


_PART_PATTERN: Final = "^(client_ip|host|route|path|path:[0-9]+|(header|cookie|jwt):.+)$"
PART_SCHEMA: Final = {"type": "string", "pattern": _PART_PATTERN}

RateText = Annotated[
    Rate,
    PlainValidator(rate_of),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": "^[0-9]+ ?/ ?[smhd]$"},
                {
                    "type": "object",
                    "properties": {
                        "requests": {"type": "integer", "minimum": 1, "maximum": MAX_REQUESTS},
                        "per": {"type": "string", "format": "duration"},
                    },
                    "required": ["requests", "per"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
"""`100/s`, or a table of requests and a time."""

LimitKey = Annotated[
    tuple[str, ...],
    PlainValidator(parts_of),
    WithJsonSchema(
        {
            "anyOf": [
                {"const": "all"},
                PART_SCHEMA,
                {"type": "array", "items": PART_SCHEMA, "minItems": 1, "maxItems": _MAX_PARTS},
            ]
        }
    ),
]
"""The key that a limit counts by: one part of a request, or a list of them; empty = `all`."""
