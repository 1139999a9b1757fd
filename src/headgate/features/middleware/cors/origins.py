"""Reads the origins that a `cors` allows."""

import re
from typing import Annotated, Final

from pydantic import WithJsonSchema

from headgate.features.fields import parsed
from headgate.kernel.errors import Invalid

ALLOWED: Final = (
    'write "https://app.example.com", "https://*.example.com" for every name below a host, '
    '"null", or "*"'
)

_PARTS: Final = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://"
    r"(?P<host>(?:\*\.)?[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?|\[[0-9a-f:.]+\])"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?"
)
_OWN_PORTS: Final = {"http": "80", "https": "443"}


def origin(text: str) -> str:
    """Returns an origin as browsers send it: in lower case, without the scheme's own port.

    Raises `Invalid` for anything else than an origin, one with a star in place of the first labels
    of its host, `null` or `*`.
    """
    if text in ("*", "null"):
        return text
    found = _PARTS.fullmatch(text.lower())
    if found is None:
        raise Invalid(f'"{text}" is not an origin{_why(text)}', ALLOWED)
    scheme, host, port = found.group("scheme", "host", "port")
    tail = f":{port}" if port and _OWN_PORTS.get(scheme) != port else ""
    return f"{scheme}://{host}{tail}"


def _why(text: str) -> str:
    if "://" not in text:
        return ": it has no scheme"
    if text.count("/") > 2:  # noqa: PLR2004 - the two of `://`
        return ": it ends with the host or port, without a slash"
    if not text.isascii():
        return ": it is not ASCII; write the host as browsers send it (xn--…)"
    return ""


Origin = Annotated[
    str,
    parsed(origin, "an origin", ALLOWED),
    WithJsonSchema({"type": "string", "format": "origin"}),
]
