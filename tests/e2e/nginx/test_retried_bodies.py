"""Both engines keep the same bodies to send them again: those that come after their head, too."""

import contextlib
import http.client
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import pytest
from running_node import RunningNode
from waiting import DEADLINE_S

CONFIG = """\
[node]
admin = "off"

[listeners.web]
address = "127.0.0.1:{port}"
default = true

[routes.repeatable]
match = {{ path = {{ prefix = "/" }} }}
upstream = "app"
retry = {{ on = ["reset"] }}

[routes.every]
match = {{ path = {{ prefix = "/every" }} }}
upstream = "app"
retry = {{ on = ["reset"], methods = "all" }}

[routes.paged]
match = {{ path = {{ prefix = "/paged" }} }}
upstream = "app"
retry = {{ on = ["reset"] }}
middlewares = [{{ error_pages = {{ pages = [{{ statuses = [503], body = "a page" }}] }} }}]

[routes.limited]
match = {{ path = {{ prefix = "/limited" }} }}
upstream = "app"
retry = {{ on = ["reset"] }}
limits = {{ body = "10B" }}
middlewares = [{{ response_headers = {{ set = {{ x-route = "limited" }} }} }}]

[upstreams.app]
endpoints = ["{closing}", {{ address = "{good}", backup = true }}]
"""
MOST = 64 * 1024
"""What is kept of a request, bytes."""
HEAD_FIRST_S = 0.5
"""How long a body waits for its head to reach an endpoint; where it is collected, none does."""


class Endpoint:
    """Reads whole requests, and answers them with what it read, or closes the connection."""

    def __init__(self, *, closes: bool) -> None:
        self.closes = closes
        self.heads = threading.Semaphore(0)
        """Released for each head."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                link = self._listener.accept()[0]
                threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), link, link.makefile("rb") as read:
            while lines := list(iter(lambda: read.readline().strip().lower(), b"")):
                self.heads.release()
                lengths = [int(one.split(b":")[1]) for one in lines if b"content-length:" in one]
                body = read.read(lengths[0]) if lengths else _chunked(read)
                if self.closes:
                    return
                told = str(len(body)).encode()
                link.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(told) + told)

    def close(self) -> None:
        """Stops it."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def _chunked(read: BinaryIO) -> bytes:
    parts = []
    while size := int(read.readline(), 16):
        parts.append(read.read(size))
        read.readline()
    read.readline()
    return b"".join(parts)


class Ends(NamedTuple):
    """The endpoints: one that closes its connections, and one that answers."""

    closing: Endpoint
    good: Endpoint


@pytest.fixture
def ends() -> Iterator[Ends]:
    """Both."""
    both = Ends(Endpoint(closes=True), Endpoint(closes=False))
    yield both
    for one in both:
        one.close()


class Client:
    """A request whose body is sent after its head."""

    def __init__(self, port: int, method: str, path: str, framing: str) -> None:
        self._method = method
        self._link = socket.create_connection(("127.0.0.1", port), DEADLINE_S)
        self._link.sendall(f"{method} {path} HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n".encode())

    def answer(self, body: bytes) -> tuple[int, bytes, str | None]:
        """Sends the rest; status, body and `x-route` of the answer."""
        with self._link as link:
            # An answer may come while the body is on its way.
            with contextlib.suppress(ConnectionError):
                link.sendall(body)
            got = http.client.HTTPResponse(link, method=self._method)
            got.begin()
            return got.status, got.read(), got.headers["x-route"]


@pytest.fixture(params=["native", "nginx"])
def node(
    request: pytest.FixtureRequest, folder: Path, port: int, probed: None, ends: Ends
) -> Iterator[None]:
    """A node with either engine."""
    closing, good = ends
    text = CONFIG.format(port=port, closing=closing.address, good=good.address)
    with RunningNode(folder, text, "--engine", request.param).until_ready():
        yield


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize(
    ("method", "path", "size", "status"),
    [
        ("PUT", "/", 5, 200),
        ("PUT", "/", MOST, 200),
        ("PUT", "/paged", 5, 200),
        ("POST", "/every", 5, 200),
        ("PUT", "/", MOST + 1, 502),
        ("POST", "/", 5, 502),
    ],
)
def test_a_body_that_fits_is_sent_again_when_the_first_endpoint_closes(
    port: int, ends: Ends, method: str, path: str, size: int, status: int
) -> None:
    client = Client(port, method, path, f"Content-Length: {size}")
    ends.closing.heads.acquire(timeout=HEAD_FIRST_S)
    found, told, _ = client.answer(b"x" * size)
    assert found == status
    assert status != 200 or told == str(size).encode()


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize(
    ("framing", "body"),
    [
        (f"Content-Length: {MOST + 1}", b"x" * (MOST + 1)),
        ("Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\n\r\n"),
    ],
)
def test_other_bodies_pass_as_they_come(port: int, ends: Ends, framing: str, body: bytes) -> None:
    client = Client(port, "PUT", "/", framing)
    assert ends.closing.heads.acquire(timeout=DEADLINE_S)
    client.answer(body)


@pytest.mark.usefixtures("node")
def test_a_body_that_grows_too_large_is_refused_with_the_lines_of_its_route(port: int) -> None:
    client = Client(port, "PUT", "/limited", "Transfer-Encoding: chunked")
    found = client.answer(b"b\r\nhello world\r\n0\r\n\r\n")
    assert (found[0], found[2]) == (413, "limited")
