"""Rates of bytes, and what shares them, as the config writes them."""

import re
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import PlainValidator, WithJsonSchema

from headgate.features import syntax
from headgate.features.rates import PART_SCHEMA, parts_of
from headgate.kernel.errors import Invalid
from headgate.kernel.units import ByteSize

ALLOWED: Final = 'write bytes and a second, "500kB/s", "2MiB/s"'
MIN_BYTES: Final = 1_000
MAX_BYTES: Final = 10_000_000_000
REQUEST: Final = "request"
"""The word for a limit that each request has for itself."""
CONNECTION: Final = "connection"
"""The word for a limit that the requests of each client connection share."""

_ALONE: Final = (REQUEST, CONNECTION)
_KEY_ALLOWED: Final = (
    'write "request" or "connection" alone (each has its own), "client_ip", "host", "route", '
    '"path", "path:NUMBER", "header:NAME", "cookie:NAME", "jwt:CLAIM", or a list of them; "all" = '
    "all requests together"
)
_RATE = re.compile(r"(.+?) ?/ ?s")


@dataclass(frozen=True, slots=True, order=True)
class ByteRate:
    """So many bytes a second, evenly: 1,000 to 10,000,000,000."""

    bytes_per_s: int

    def __str__(self) -> str:
        return f"{ByteSize(self.bytes_per_s)}/s"


def byte_rate_of(value: object) -> ByteRate:
    """Returns the rate that a value of the config says; raises `Invalid` for anything else.

    >>> byte_rate_of("2MiB/s")
    ByteRate(bytes_per_s=2097152)
    """
    if isinstance(value, ByteRate):
        return value
    if not isinstance(value, str):
        raise Invalid(f"{syntax.described(value)} is not a rate of bytes", ALLOWED)
    found = _RATE.fullmatch(value)
    if found is None:
        raise Invalid(f'"{value}" is not a rate of bytes', ALLOWED)
    try:
        size = ByteSize.parse(found[1])
    except Invalid:
        raise Invalid(f'"{value}" is not a rate of bytes', ALLOWED) from None
    if not MIN_BYTES <= size.bytes <= MAX_BYTES:
        raise Invalid(f'"{value}" is out of range', 'write "1kB/s" to "10GB/s"')
    return ByteRate(size.bytes)


def bytes_of(rate: ByteRate | None) -> int:
    """Returns bytes in a second; 0 = any."""
    return 0 if rate is None else rate.bytes_per_s


def burst_of(rate: ByteRate | None, burst: ByteSize | None) -> int:
    """Returns how many bytes pass at once: those of a second, unless something else is written."""
    if rate is None:
        return 0
    return rate.bytes_per_s if burst is None else burst.bytes


def told(download: tuple[int, int], upload: tuple[int, int]) -> str:
    """Returns in words what limits of rate and burst do, in bytes; 0 = any.

    >>> told((2097152, 1048576), (0, 0))
    'download 2MiB/s, burst 1MiB'
    """
    return ", ".join(
        f"{way} {ByteRate(rate)}, burst {ByteSize(burst)}"
        for way, (rate, burst) in (("download", download), ("upload", upload))
        if rate
    )


def sharers_of(value: object) -> tuple[str, ...]:
    """Returns what shares a limit; nothing = all requests together; raises `Invalid`.

    >>> sharers_of("request"), sharers_of("connection"), sharers_of("all")
    (('request',), ('connection',), ())
    """
    for word in _ALONE:
        if value in (word, [word], (word,)):
            return (word,)
        if isinstance(value, list | tuple) and word in value:
            raise Invalid(f"`{word}` stands beside others", _KEY_ALLOWED)
    try:
        return parts_of(value)
    except Invalid as wrong:
        raise Invalid(wrong.what, _KEY_ALLOWED) from None


ByteRateText = Annotated[
    ByteRate,
    PlainValidator(byte_rate_of),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": "^[0-9]+(\\.[0-9]+)? ?(B|kB|KB|MB|GB|KiB|MiB|GiB) ?/ ?s$",
        }
    ),
]
"""`2MiB/s`."""

Sharers = Annotated[
    tuple[str, ...],
    PlainValidator(sharers_of),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": ["all", *_ALONE]},
                PART_SCHEMA,
                {"type": "array", "items": PART_SCHEMA, "minItems": 1, "maxItems": 8},
            ]
        }
    ),
]
"""The sharers of a limit: each request alone, those of a connection, one part of a request, or a
list of parts; empty = `all`.
"""
