"""Knows nginx's variables for the fields of our access logs, both ways.

The renderer writes the fields of requests by this table, and the import reads log formats by it. A
variable of nginx's that means something else than the field does natively, or has another form,
says how it differs: no import takes one for the other.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

_OURS: Final = "hg_"
"""The prefix of the names of our own variables."""


class Logged(NamedTuple):
    """A field, and the variable that our nginx configs write it with.

    `source` is nginx's own variable where that one is a map of ours; empty where it is nginx's, or
    where nginx has none. `differs` is what follows the name of nginx's variable in a sentence on
    how it is not the field; empty where it is. `is_plain`: each request that could be read has a
    value, without characters that any format escapes; `is_there`: it has one, empty perhaps.
    """

    field: str
    variable: str
    source: str = ""
    differs: str = ""
    is_plain: bool = False
    is_there: bool = False

    @property
    def nginx(self) -> str:
        """nginx's own variable of it; empty where nginx has none."""
        return self.source or ("" if self.variable.startswith(_OURS) else self.variable)

    @property
    def is_exact(self) -> bool:
        """True if nginx's own variable says the same in the same form."""
        return bool(self.nginx) and not self.differs


_ENDED: Final = (
    "is when the request ended, in the time zone of the host (`${time}`: when its head was "
    "complete, in UTC)"
)
_SECONDS: Final = "is in seconds, one number for each try (`${%s}`: microseconds)"

TEXTS: Final = (
    Logged("time", "time_iso8601", differs=_ENDED),
    Logged("request_id", "request_id", is_plain=True, is_there=True),
    Logged("client_ip", "remote_addr", is_plain=True, is_there=True),
    Logged("listener", "hg_listener"),
    Logged("route", "hg_route"),
    Logged("upstream", "hg_upstream"),
    Logged(
        "endpoint",
        "hg_endpoint",
        "upstream_addr",
        "names every endpoint that was tried (`${endpoint}`: the last one)",
    ),
    Logged("method", "request_method", is_plain=True, is_there=True),
    Logged("scheme", "scheme", is_plain=True, is_there=True),
    Logged("host", "http_host", is_there=True),
    Logged("target", "request_uri", is_there=True),
    Logged("protocol", "server_protocol", is_plain=True, is_there=True),
)
"""Texts that begin the lines of our JSON, in their order."""

NUMBERS: Final = (
    Logged("status", "status", is_plain=True, is_there=True),
    Logged(
        "bytes_in",
        "hg_log_bytes_in",
        "content_length",
        "is what the client announced (`${bytes_in}`: what was read)",
    ),
    Logged(
        "bytes_out",
        "body_bytes_sent",
        differs="counts the framing of chunks (`${bytes_out}` does not)",
    ),
    Logged("connect_us", "hg_log_connect_us", "upstream_connect_time", _SECONDS % "connect_us"),
    Logged(
        "first_byte_us",
        "hg_log_first_byte_us",
        "upstream_header_time",
        _SECONDS % "first_byte_us",
    ),
    Logged(
        "total_us",
        "hg_log_total_us",
        "request_time",
        "is in seconds (`${total_us}`: microseconds)",
    ),
)
"""Numbers, which follow them."""

LAST: Final = (
    Logged("reason", "hg_log_reason"),
    Logged("user_agent", "http_user_agent"),
    Logged("referer", "http_referer"),
    Logged("tls_version", "ssl_protocol"),
    Logged("sni", "ssl_server_name"),
    Logged(
        "client_subject",
        "hg_client_subject",
        "ssl_client_s_dn",
        "is there without verification, too (`${client_subject}` is not)",
    ),
)
"""Texts that end the lines."""

FIELDS: Final = (*TEXTS, *NUMBERS, *LAST)

REQUEST: Final = "request"
"""nginx's variable of the request line: method, target and protocol."""

REQUEST_FIELDS: Final = ("method", "target", "protocol")

_NEAR: Final[Mapping[str, str]] = {
    "bytes_sent": "counts the head of the answer (`${bytes_out}` does not)",
    "document_uri": "is decoded and may be rewritten (`${target}`: as the client sent it)",
    "host": "is in lower case and without the port (`${host}`: as the client sent it)",
    "msec": "is when the request ended, in seconds (`${time}`: when its head was complete)",
    "request_length": "counts the head of the request (`${bytes_in}` does not)",
    "time_local": _ENDED,
    "uri": "is decoded and may be rewritten (`${target}`: as the client sent it)",
}
"""Other variables that are often logged: how the nearest field differs."""

_BY_FIELD: Final = {one.field: one for one in FIELDS}
_BY_VARIABLE: Final = {one.nginx: one for one in FIELDS if one.nginx}
_NO_FIELD: Final = "has no field"


def logged(field: str) -> Logged:
    """Returns the row of a field; raises `KeyError` for one that requests do not have in nginx."""
    return _BY_FIELD[field]


def exact(variable: str) -> Logged | None:
    """Returns the field that a variable of nginx's is in meaning and form, by its name in lower
    case; None where there is none.
    """
    found = _BY_VARIABLE.get(variable)
    return found if found is not None and found.is_exact else None


def why_not(variable: str) -> str:
    """Returns how a variable differs from the nearest field, as what follows its name in a
    sentence; empty for one that is a field.

    >>> why_not("request_time")
    'is in seconds (`${total_us}`: microseconds)'
    >>> why_not("remote_user"), why_not("status")
    ('has no field', '')
    """
    found = _BY_VARIABLE.get(variable)
    return _NEAR.get(variable, _NO_FIELD) if found is None else found.differs
