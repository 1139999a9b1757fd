"""The values in lines of the access log: fields, headers of the request, and claims of a token."""

import re
from collections.abc import Iterable
from typing import Annotated, Final

from pydantic import AfterValidator, WithJsonSchema

from headgate.features import templates
from headgate.features.log_named import CLAIM, HEADER
from headgate.kernel.errors import Invalid
from headgate.kernel.nearest import listed, nearest
from headgate.kernel.redaction import names_secret

FIELDS: Final = (
    *("time", "request_id", "client_ip", "client_port", "listener", "route", "upstream"),
    *("endpoint", "method", "scheme", "host", "target", "protocol", "status"),
    *("datagrams_in", "datagrams_out", "bytes_in", "bytes_out"),
    *("connect_us", "first_byte_us", "total_us", "reused", "tries", "reason", "user_agent"),
    *("referer", "tls_version", "sni", "alpn", "client_subject", "client_san"),
    *("client_spiffe", "client_fingerprint", "connection_id", "trace_id", "span_id"),
)
"""The fields that lines can have, of requests, TCP connections and UDP flows."""
_LONGEST: Final = 2_000


_LONGEST_NAME: Final = 64
MOST_NAMED: Final = 16
"""The most headers, and the most claims, of one log: their values are kept for as long as a request
takes."""

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~a-z0-9-]{1,64}")
_HEADER_ALLOWED: Final = (
    f"write a name in lower case of up to {_LONGEST_NAME} characters, such as "
    f"{HEADER}accept-language"
)
_OWN: Final = {"host": "host", "referer": "referer", "user-agent": "user_agent"}
"""Headers that are fields themselves."""


def _field(name: str) -> str:
    _known(name, f'"{name}" is not a field of the access log', '"{}"')
    return name


def _known(name: str, unknown: str, shown: str) -> None:
    """Raises `Invalid` for the name of no field; `shown` is how one is written."""
    if name in FIELDS:
        return
    if name.startswith(HEADER):
        _header(name.removeprefix(HEADER), shown)
        return
    if name.startswith(CLAIM):
        _claim(name.removeprefix(CLAIM))
        return
    near = nearest(name, FIELDS)
    words = [*FIELDS, f"{HEADER}NAME", f"{CLAIM}CLAIM"]
    known = listed(words, quote=False, most=len(words))
    raise Invalid(unknown, f"write {shown.format(near)}" if near else f"write one of {known}")


def _header(name: str, shown: str) -> None:
    if _NAME.fullmatch(name) is None:
        lower = name.lower()
        allowed = _HEADER_ALLOWED
        if _NAME.fullmatch(lower):
            allowed = f"write {shown.format(HEADER + lower)}"
        raise Invalid(f'"{name}" is not the name of a header in lower case', allowed)
    if name in _OWN:
        raise Invalid(f"{_OWN[name]} is that header", f"write {shown.format(_OWN[name])}")
    if names_secret(name):
        raise Invalid(
            f"the header {name} carries credentials, which lines never show", "name another header"
        )


def _claim(name: str) -> None:
    templates.claim(name)
    if names_secret(name):
        raise Invalid(
            f"the claim {name} carries credentials, which lines never show", "name another claim"
        )


def _fields(names: list[str]) -> list[str]:
    if again := next((name for at, name in enumerate(names) if name in names[:at]), None):
        raise Invalid(f'"{again}" is there twice', "write each field once")
    _few(names)
    return names


def _few(names: Iterable[str]) -> None:
    different = set(names)
    for lead, what in ((HEADER, "headers"), (CLAIM, "claims")):
        count = sum(name.startswith(lead) for name in different)
        if count > MOST_NAMED:
            raise Invalid(f"{count} {what} are too many", f"name up to {MOST_NAMED} {what}")


def _template(text: str) -> str:
    if not text or len(text) > _LONGEST or any(c < " " or c == "\x7f" for c in text):
        raise Invalid(
            "the template is not a line of text",
            f"write up to {_LONGEST} characters, without line ends and other control characters",
        )
    names: list[str] = []
    for kind, name in templates.pieces(text):
        if kind == "name":
            _known(name, f"the access log has no variable ${{{name}}}", "${{{}}}")
            names.append(name)
        elif kind == "number":
            raise Invalid(f"`${name}` has no meaning here", templates.DOLLAR_ALLOWED)
    _few(names)
    return text


_FIELD_SCHEMA: Final = WithJsonSchema(
    {
        "anyOf": [
            {"type": "string", "enum": list(FIELDS)},
            {"type": "string", "pattern": f"^{HEADER}{_NAME.pattern}$"},
            {"type": "string", "pattern": f"^{CLAIM}{templates.CLAIM_NAME.pattern}$"},
        ]
    }
)
LogFields = Annotated[
    list[Annotated[str, AfterValidator(_field), _FIELD_SCHEMA]], AfterValidator(_fields)
]
LogTemplate = Annotated[str, AfterValidator(_template)]
