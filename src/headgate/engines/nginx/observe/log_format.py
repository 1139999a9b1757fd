"""Makes parsers from nginx's own `log_format` texts, for foreign instances. Pure.

<https://nginx.org/en/docs/http/ngx_http_log_module.html#log_format>
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal

from headgate._core import LinePattern
from headgate.engines.nginx.observe.hits import UNTIMED, Hit

Escape = Literal["default", "json", "none"]

COMBINED: Final = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent'
    ' "$http_referer" "$http_user_agent"'
)
"""The format that nginx has built in."""

_ESCAPES: Final[Mapping[str, Escape]] = {
    "escape=default": "default",
    "escape=json": "json",
    "escape=none": "none",
}

_VARIABLE: Final = re.compile(r"\$(?:\{([a-z0-9_]+)\}|([a-z0-9_]+))", re.ASCII | re.IGNORECASE)

_LIST: Final = r"[^\s,\"]*(?:(?:, | : )[^\s,\"]*)*"
_NUMBER: Final = r"[0-9]*-?"
_SECONDS: Final = r"[0-9.]*-?"

_SHAPES: Final[dict[str, str]] = {
    "status": r"[0-9]{3}",
    "request": r'[^"]*',
    "request_time": _SECONDS,
    "msec": _SECONDS,
    "body_bytes_sent": _NUMBER,
    "bytes_sent": _NUMBER,
    "request_length": _NUMBER,
    "connection": _NUMBER,
    "connection_requests": _NUMBER,
    "request_method": r"[^\s\"]*",
    "remote_addr": r"[^\s\"]*",
    "realip_remote_addr": r"[^\s\"]*",
    "server_name": r"[^\s\"]*",
    "scheme": r"[a-z]*-?",
    "server_protocol": r"[^\s\"]*",
    "server_port": _NUMBER,
    "time_local": r"[^\]\"]*",
    "time_iso8601": r"[^\s\"]*",
    "upstream_addr": _LIST,
    "upstream_status": _LIST,
    "upstream_connect_time": _LIST,
    "upstream_header_time": _LIST,
    "upstream_response_time": _LIST,
    "upstream_response_length": _LIST,
}
"""The form of a variable's value; any other may hold anything."""


class UnusableFormatError(ValueError):
    """A format whose lines say neither status nor request; says why."""


def format_of(words: Sequence[str]) -> tuple[str, Escape]:
    """Returns the text of a `log_format` and how values are escaped in it, by the words after its
    name; the text is empty where there are none.

    >>> format_of(["escape=json", "a ", "$status"])
    ('a $status', 'json')
    """
    if words and words[0].startswith("escape="):
        return "".join(words[1:]), _ESCAPES.get(words[0], "default")
    return "".join(words), "default"


def _integer(text: str) -> int:
    return int(text) if text.isdigit() else 0


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return UNTIMED


def _method(request: str) -> str:
    return request.partition(" ")[0]


_Setter = tuple[str, str, Callable[[str], str | int | float]]

_TEXTS: Final = (
    *(("request_method", "method"), ("status", "status"), ("upstream_addr", "endpoint")),
    *(("upstream_connect_time", "connect_s"), ("upstream_header_time", "first_byte_s")),
    *(("upstream_response_time", "upstream_s"), ("upstream_status", "upstream_status")),
)
_SETTERS: Final[tuple[_Setter, ...]] = (
    ("request", "method", _method),
    *((variable, field, str) for variable, field in _TEXTS),
    ("request_length", "bytes_in", _integer),
    ("body_bytes_sent", "bytes_out", _integer),
    ("bytes_sent", "bytes_out", _integer),
    ("request_time", "total_s", _seconds),
    ("http_host", "site", str.lower),
    ("host", "site", str.lower),
    ("server_name", "site", str.lower),
)
"""(variable, field of a hit, how to read it); later ones take precedence."""


class LogFormat:
    """The parser of one format.

    >>> log = LogFormat(COMBINED)
    >>> line = b'::1 - - [20/Nov/2026:08:59:02 +0000] "GET / HTTP/1.1" 200 5 "-" "curl/8"'
    >>> [(hit.method, hit.status, hit.bytes_out) for hit in log.hits(line)[0]]
    [('GET', '200', 5)]
    """

    def __init__(
        self,
        text: str,
        escape: Escape = "default",
        site: str = "",
        upstreams: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """`site` is the site of a hit where the format has no host.

        `upstreams` maps an endpoint's address to the name of the upstream it belongs to. Hits of a
        format without `$request_time` have no duration (`hits.UNTIMED`).

        Raises UnusableFormatError when the format has no `$status`, or too many variables.
        """
        parts = list(_parts(text))
        names = {name for name, _ in parts if name}
        if "status" not in names:
            raise UnusableFormatError("the format has no $status")
        self._site = site
        self._upstreams = upstreams
        known: dict[str, tuple[str, Callable[[str], str | int | float]]] = {}
        for variable, field, read in _SETTERS:
            if variable in names:
                known[field] = (variable, read)
        wanted = {variable for variable, _ in known.values()}
        try:
            self._pattern = LinePattern(_pattern(parts, wanted, escape))
        except ValueError as error:
            raise UnusableFormatError(str(error)) from error
        at = {variable: number for number, variable in enumerate(self._pattern.names)}
        self._setters = [(field, at[variable], read) for field, (variable, read) in known.items()]

    def hits(self, block: bytes) -> tuple[list[Hit], int]:
        """Returns the requests of a block of whole lines,
        and how many lines did not fit the format.
        """
        found: list[Hit] = []
        bad = 0
        fields = self._pattern.fields
        setters, site, upstreams = self._setters, self._site, self._upstreams
        for line in block.decode(errors="replace").split("\n"):
            if not line:
                continue
            values = fields(line)
            if values is None:
                bad += 1
                continue
            hit = Hit(site=site)
            for field, number, read in setters:
                setattr(hit, field, read(values[number]))
            if upstreams:
                hit.upstream = upstreams.get(hit.endpoint.partition(",")[0], "")
            found.append(hit)
        return found, bad


def _parts(text: str) -> Iterator[tuple[str, str]]:
    """Yields the format's pieces: (variable, "") or ("", literal)."""
    end = 0
    for found in _VARIABLE.finditer(text):
        if found.start() > end:
            yield "", text[end : found.start()]
        yield (found[1] or found[2]).lower(), ""
        end = found.end()
    if end < len(text):
        yield "", text[end:]


def _pattern(parts: list[tuple[str, str]], wanted: set[str], escape: Escape) -> str:
    """Returns a regular expression for a whole line."""
    pattern: list[str] = []
    seen: set[str] = set()
    for index, (variable, literal) in enumerate(parts):
        if not variable:
            pattern.append(re.escape(literal))
            continue
        after = parts[index + 1][1] if index + 1 < len(parts) else ""
        shape = _shape(variable, after, escape)
        if variable in wanted and variable not in seen:
            seen.add(variable)
            pattern.append(f"(?P<{variable}>{shape})")
        else:
            pattern.append(f"(?:{shape})")
    return "".join(pattern)


def _shape(variable: str, after: str, escape: Escape) -> str:
    """Returns what a variable's text looks like, followed by the literal `after`."""
    if variable in _SHAPES:
        return _SHAPES[variable]
    if after.startswith('"') and escape == "default":
        return r'[^"]*'
    if after.startswith('"') and escape == "json":
        return r'(?:[^"\\]|\\.)*'
    return r".*?"
