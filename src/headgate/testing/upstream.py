"""A small HTTP/1.1 server to stand behind a proxy in a test."""

import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Self

from headgate.testing.server import HttpServer


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that an upstream got."""

    method: str
    target: str
    headers: dict[str, str]
    """By lower-case name; lines of one name are joined by commas."""
    body: bytes


class Upstream:
    """Answers every request alike, and keeps what it got.

    >>> with Upstream("hello") as one:
    ...     one.address.startswith("127.0.0.1:")
    True
    """

    def __init__(self, body: str = "", *, status: int = 200) -> None:
        """`status`: 200 to 599; one that has no body (204, 304) is sent without."""
        self.body = body
        """The body of its answers; may be changed at any time."""
        self.status = status
        self.seen: list[Seen] = []
        """The requests that it got, in the order of arrival; only those whose body came whole."""
        self._server = HttpServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """The address at which it listens, in the form of an endpoint's address."""
        host, port = self._server.server_address[:2]
        return f"{host!s}:{port}"

    def close(self) -> None:
        """Stops it: its connections end, and new ones are refused."""
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _handler(upstream: Upstream) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline(65537)
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            body = self._body()
            lines: dict[str, str] = {}
            for name, value in self.headers.items():
                key = name.lower()
                lines[key] = f"{lines[key]}, {value}" if key in lines else value
            upstream.seen.append(Seen(self.command, self.path, lines, body))
            self._answer()

        def _body(self) -> bytes:
            if self.headers.get("transfer-encoding", "").lower() != "chunked":
                return self.rfile.read(int(self.headers.get("content-length", 0)))
            chunks = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                chunks += self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return chunks

        def _answer(self) -> None:
            body = upstream.body.encode()
            self.send_response(upstream.status)
            if upstream.status not in {204, 304}:
                self.send_header("content-type", "text/plain; charset=utf-8")
                self.send_header("content-length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD" and upstream.status not in {204, 304}:
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
