"""The key of hashing balancers: which part of a request decides the endpoint."""

from typing import Annotated, Final

from pydantic import PlainValidator, WithJsonSchema

from headgate.features import syntax
from headgate.kernel.errors import Invalid

KEY_ALLOWED: Final = 'write "client_ip", "path", "header:NAME" or "cookie:NAME"'


def _key(value: object) -> str:
    if not isinstance(value, str):
        raise Invalid(f"{syntax.described(value)} is not a hash key", KEY_ALLOWED)
    if value in ("client_ip", "path"):
        return value
    source, colon, name = value.partition(":")
    if not colon or source not in ("header", "cookie"):
        raise Invalid(f'"{value}" is not a hash key', KEY_ALLOWED)
    try:
        token = syntax.header_name(name)
    except Invalid:
        raise Invalid(f'"{name}" is not the name of a {source}', KEY_ALLOWED) from None
    return f"header:{token}" if source == "header" else value


HashKey = Annotated[
    str,
    PlainValidator(_key),
    WithJsonSchema({"type": "string", "pattern": "^(client_ip|path|(header|cookie):.+)$"}),
]
"""`client_ip`, `path`, `header:NAME` or `cookie:NAME`."""
