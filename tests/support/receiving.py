"""An endpoint that keeps the requests that it gets, with their bodies as they came."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler

from http_server import serving_http


@dataclass(frozen=True, slots=True)
class Received:
    """A request. `length`: bytes that came of its body; `is_whole`: whether its end came, too."""

    headers: dict[str, str]
    body: bytes
    is_whole: bool


class Receiver:
    """Answers each request with `body` once its body has come; the first `drops` get none."""

    def __init__(self) -> None:
        self.address = ""
        self.got: list[Received] = []
        self.drops = 0
        self.body = b"taken\n"

    def last(self) -> Received:
        """The last whole request; fails without one."""
        return [one for one in self.got if one.is_whole][-1]


@contextlib.contextmanager
def receiver() -> Iterator[Receiver]:
    """One that listens; it has ended with its connections afterwards."""
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body, is_whole = self._body()
            made.got.append(Received(headers, body, is_whole))
            if made.drops or not is_whole:
                made.drops = max(made.drops - 1, 0)
                self.close_connection = True
                return
            self.send_response(200)
            self.send_header("content-type", "text/plain")
            self.send_header("content-length", str(len(made.body)))
            self.end_headers()
            self.wfile.write(made.body)

        def do_GET(self) -> None:
            self.do_POST()

        def _body(self) -> tuple[bytes, bool]:
            """What came of the body, and whether that is all of it."""
            if "transfer-encoding" not in self.headers:
                length = int(self.headers.get("content-length", "0"))
                body = self.rfile.read(length)
                return body, len(body) == length
            body = b""
            with contextlib.suppress(OSError):
                while size := self.rfile.readline():
                    length = int(size, 16)
                    body += self.rfile.read(length)
                    if self.rfile.readline() == b"\r\n" and length == 0:
                        return body, True
            return body, False

        def log_message(self, format: str, *args: object) -> None:
            pass

    with serving_http(Handler) as port:
        made.address = f"127.0.0.1:{port}"
        yield made
