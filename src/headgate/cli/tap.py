"""`headgate tap`: the requests of a running node, as they end."""

import http.client
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import msgspec

from headgate.cli import calls
from headgate.node.about import Problem

_BETWEEN: Final = slice(11, 23)
"""The time of day with milliseconds, in a time such as 2026-11-20T08:59:02.123456Z."""
_PER_MS: Final = 1_000
_PER_S: Final = 1_000_000


class TapError(Exception):
    """The node opens no tap; the message says why."""


class Shown(msgspec.Struct, frozen=True):
    """A line of a tap, as far as people read it; `dropped` alone tells of requests not shown."""

    time: str = ""
    client_ip: str = ""
    method: str = ""
    scheme: str = ""
    host: str = ""
    target: str = ""
    status: int = 0
    total_us: int = 0
    route: str = ""
    upstream: str = ""
    endpoint: str = ""
    reason: str = "-"
    headers: list[tuple[str, str]] = []
    dropped: int = 0


def lines(state_dir: Path, query: Mapping[str, str]) -> Iterator[bytes]:
    """Yields lines of JSON until the data plane or the control process is replaced.

    Raises calls.NoNodeError, and TapError if the node refuses.
    """
    asked = calls.connection(state_dir)
    try:
        asked.request("GET", f"/tap?{urlencode(query)}")
        response = asked.getresponse()
        if response.status != http.client.OK:
            raise TapError(_error(response.read()))
        if asked.sock is not None:
            asked.sock.settimeout(None)  # hours may pass without a request
        yield from response
    except (OSError, http.client.HTTPException) as error:
        raise calls.no_node(state_dir, error) from error
    finally:
        asked.close()


def _error(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=Problem).error
    except ValueError:
        return body.decode(errors="replace").strip()


def text(one: Shown) -> str:
    """Returns what a person reads of a request: a line, and one for each header.

    >>> text(Shown(time="2026-11-20T08:59:02.123456Z", client_ip="192.0.2.7", method="GET",
    ...     host="a.example", scheme="http", target="/v1", status=200, total_us=2345,
    ...     route="api", upstream="app", endpoint="127.0.0.1:9001"))
    '08:59:02.123 192.0.2.7 GET http://a.example/v1 200 2.3ms api > app 127.0.0.1:9001\\n'
    """
    said = [
        one.time[_BETWEEN],
        one.client_ip,
        one.method or "-",
        f"{one.scheme}://{one.host}{one.target}",
        str(one.status),
        _took(one.total_us),
        one.route or "-",
    ]
    if one.upstream:
        said += [">", one.upstream]
    if one.endpoint:
        said.append(one.endpoint)
    if one.reason != "-":
        said.append(f"({one.reason})")
    headers = [f"    {name}: {value}" for name, value in one.headers]
    return "".join(f"{_printable(line)}\n" for line in (" ".join(said), *headers))


def _took(us: int) -> str:
    """Returns a time as people read it.

    >>> _took(70), _took(2_345), _took(61_020_304)
    ('0.1ms', '2.3ms', '61.02s')
    """
    return f"{us / _PER_MS:.1f}ms" if us < _PER_S else f"{us / _PER_S:.2f}s"


def _printable(line: str) -> str:
    """Returns a line of which no control character of a client reaches a terminal."""
    return "".join(one if one.isprintable() else "?" for one in line)
