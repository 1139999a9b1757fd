"""Asks nginx about itself: `stub_status` and our generation page.

<https://nginx.org/en/docs/http/ngx_http_stub_status_module.html>
"""

import http.client
import re
import socket
from typing import Final
from urllib.parse import urlsplit

import msgspec

_ASK_S: Final = 2.0
_ANSWER_BYTES: Final = 64 * 1024

_STUB: Final = re.compile(
    rb"Active connections: *(\d+) *\n"
    rb"server accepts handled requests(?: request_time)? *\n"
    rb" *(\d+) +(\d+) +(\d+)(?: +\d+)? *\n"
    rb"Reading: *(\d+) +Writing: *(\d+) +Waiting: *(\d+)"
)


class StatusError(Exception):
    """The page could not be read; says why."""


class StubStatus(msgspec.Struct, frozen=True):
    """Connections and requests of the whole instance.

    `accepts`, `handled` and `requests` only grow, through reloads too; the rest are present values.
    `accepts - handled` are connections dropped for want of worker_connections.
    """

    active: int
    accepts: int
    handled: int
    requests: int
    reading: int
    writing: int
    waiting: int


class RunningGeneration(msgspec.Struct, frozen=True):
    """The release that a worker serves, and its pid if the page says it."""

    generation: int
    pid: int | None = None


def parse_stub_status(page: bytes) -> StubStatus:
    r"""Returns the figures of a page; raises StatusError for any other text.

    >>> parse_stub_status(
    ...     b"Active connections: 2 \nserver accepts handled requests\n 5 5 9 \n"
    ...     b"Reading: 0 Writing: 1 Waiting: 1 \n"
    ... ).requests
    9
    """
    found = _STUB.match(page)
    if found is None:
        raise StatusError(f"no stub_status page: {page[:60]!r}")
    return StubStatus(*(int(number) for number in found.groups()))


def parse_generation(page: bytes) -> RunningGeneration:
    r"""Returns the generation page: the number, on a second line perhaps the worker's pid.

    >>> parse_generation(b"12\n4711\n")
    RunningGeneration(generation=12, pid=4711)
    """
    lines = page.split()
    if not lines or len(lines) > 2 or not all(line.isdigit() for line in lines):  # noqa: PLR2004
        raise StatusError(f"no generation page: {page[:60]!r}")
    return RunningGeneration(int(lines[0]), int(lines[1]) if len(lines) > 1 else None)


def stub_status(where: str, timeout_s: float = _ASK_S, *, host: str | None = None) -> StubStatus:
    """Asks for the page at `unix:/path:/uri` or an http URL; raises StatusError."""
    return parse_stub_status(get(where, timeout_s, host=host))


def generation(socket_path: str, timeout_s: float = _ASK_S) -> RunningGeneration:
    """Asks one worker, over a connection of its own, what it serves; raises StatusError."""
    return parse_generation(get(f"unix:{socket_path}:/generation", timeout_s))


def get(where: str, timeout_s: float = _ASK_S, *, host: str | None = None) -> bytes:
    """Returns the body of a 200 answer, at most 64 KiB, over a connection of its own.

    `where` is `unix:/path:/uri` or `http://host[:port]/uri`; `host` replaces the Host header.
    Redirects are not followed. Raises StatusError.
    """
    connection, target, name = _connection(where, timeout_s)
    try:
        connection.request("GET", target, headers={"host": host or name, "connection": "close"})
        answer = connection.getresponse()
        body = answer.read(_ANSWER_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise StatusError(f"{where}: {error or type(error).__name__}") from error
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise StatusError(f"{where}: answered {answer.status}")
    return body


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _connection(where: str, timeout_s: float) -> tuple[http.client.HTTPConnection, str, str]:
    if where.startswith("unix:"):
        path, _, uri = where.removeprefix("unix:").partition(":")
        return _Unix(path, timeout_s), uri or "/", "localhost"
    try:
        url = urlsplit(where)
        host, port = url.hostname, url.port or 80
    except ValueError as error:
        raise StatusError(f"{where}: {error}") from error
    if url.scheme != "http" or not host:
        raise StatusError(f"{where}: neither unix:/path:/uri nor an http URL")
    return http.client.HTTPConnection(host, port, timeout=timeout_s), url.path or "/", url.netloc
