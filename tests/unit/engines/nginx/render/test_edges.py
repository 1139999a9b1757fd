"""Every limit and timeout that nginx holds, at its edge, on one real nginx: what just fits is
served and one more is refused, whether it comes in one piece or byte by byte. What nginx holds
less exactly than the native engine is held to what the parity page says of it.

`test_stream_edges.py` beside this has those of TCP and UDP.
"""

import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
from cut_off import CutOff
from nginx_engine import NginxEngine, capabilities
from peers import unavailable
from ports import deaf_port, free_ports
from socket_server import SocketServer
from tls_authority import Authority
from waiting import DEADLINE_S, until

QUICK = "300ms"
QUICK_S = 0.3
SLOW_S = 2.0
"""Where the endpoint has to begin within that time, on a machine that may stall it."""
EARLY_S = 0.002
"""nginx counts whole milliseconds, from the one in which its turn began."""
DEFAULT_S = 5.0
"""The shortest default of these timeouts."""
TRIES = 3
"""A busy machine may stand still for longer than the default, but not each time."""

CONFIG = """
[node.limits]
connections_per_client = 3

[listeners.web]
address = "127.0.0.1:{web}"
default = true
limits = {{ head = "2KiB", body = "1KiB", requests_per_connection = 3 }}

[listeners.quick]
address = "127.0.0.1:{quick}"
default = true
timeouts.head = "{time}"

[listeners.idle]
address = "127.0.0.1:{idle}"
default = true
timeouts.idle = "{time}"

[listeners.secure]
address = "127.0.0.1:{secure}"
tls = {{ default_certificate = "a" }}
timeouts = {{ head = "{time}", handshake = "{time}" }}

[routes]
all = {{ upstream = "up" }}
safe = {{ upstream = "up", listeners = ["secure"] }}
wide = {{ match = [{{ path.prefix = "/wide" }}], upstream = "up", limits.body = "2KiB" }}
lifted = {{ match = [{{ path.prefix = "/lifted" }}], upstream = "up", limits.body = "off" }}
try = {{ match = [{{ path.prefix = "/try" }}], upstream = "up", timeouts.per_try = "{time}" }}
first = {{ match = [{{ path.prefix = "/1st" }}], upstream = "up", timeouts.first_byte = "{time}" }}
idle = {{ match = [{{ path.prefix = "/idle" }}], upstream = "up", timeouts.stream_idle = "{time}" }}
slow = {{ match = [{{ path.prefix = "/slow" }}], upstream = "up", timeouts.stream_idle = "2s" }}
body = {{ match = [{{ path.prefix = "/body" }}], upstream = "up", timeouts.body = "{time}" }}
kept = {{ match = [{{ path.prefix = "/kept" }}], upstream = "up", limits.body_buffer = "512B" }}
few = {{ match = [{{ path.prefix = "/few" }}], upstream = "few" }}
small = {{ match = [{{ path.prefix = "/small" }}], upstream = "small" }}
deaf = {{ match = [{{ path.prefix = "/deaf" }}], upstream = "deaf" }}

[upstreams]
up = {{ endpoints = ["{up}"] }}
few = {{ endpoints = ["{up}"], limits = {{ connections = 2, queue = 0 }} }}
small = {{ endpoints = ["{up}"], limits.head = "4KiB" }}
deaf = {{ endpoints = ["{deaf}"], timeouts.connect = "{time}" }}
"""


class Endpoint(SocketServer):
    """Answers 200 once a body has ended, and otherwise what the last part of the path says."""

    def __init__(self) -> None:
        self.heads: list[str] = []
        super().__init__()

    def has_heads(self, line: str, number: int) -> bool:
        """Reports whether so many requests of this line came."""
        return self.heads.count(line) == number

    def serve(self, link: socket.socket) -> None:
        """Answers requests until one is not answered to its end."""
        reader = link.makefile("rb")
        while line := reader.readline():
            fields = iter(reader.readline, b"\r\n")
            headers = dict(field.decode().lower().strip().split(": ", 1) for field in fields)
            self.heads.append(line.decode())
            reader.read(int(headers.get("content-length", "0")))
            if "transfer-encoding" in headers:
                # One that is refused ends in the middle.
                while (size := int(reader.readline() or b"0", 16)) > 0:
                    reader.read(size + 2)
                reader.readline()
            what = line.split()[1].decode().rpartition("/")[2]
            if what == "silent":
                break
            if what == "half":
                link.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
                break
            start = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: "
            rest = max(0, int(what) - len(start) - 4) if what.isdigit() else 1
            link.sendall(f"{start}{'y' * rest}\r\n\r\nok".encode())
        link.recv(1)


class Edges(NamedTuple):
    """The running nginx."""

    web: int
    quick: int
    idle: int
    secure: int
    endpoint: Endpoint


@pytest.fixture(scope="module")
def edges() -> Iterator[Edges]:
    """One nginx, one endpoint that answers, and one that nobody can connect to."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hg-")))
        endpoint = stack.enter_context(Endpoint())
        deaf = stack.enter_context(deaf_port())
        web, quick, idle, secure = free_ports(4)
        text = CONFIG.format(
            web=web,
            quick=quick,
            idle=idle,
            secure=secure,
            up=endpoint.address,
            deaf=f"127.0.0.1:{deaf}",
            time=QUICK,
        )
        config = folder / "headgate.toml"
        config.write_text(text + Authority(folder).issue("a", "a.example").toml("a"))
        stack.enter_context(NginxEngine(config, folder))
        yield Edges(web, quick, idle, secure, endpoint)


def connected(port: int) -> socket.socket:
    """A connection that sends each piece by itself."""
    one = socket.create_connection(("127.0.0.1", port), DEADLINE_S)
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return one


def rest(one: socket.socket) -> bytes:
    """What comes until the end."""
    got = b""
    with CutOff():
        while part := one.recv(65536):
            got += part
    return got


def statuses(port: int, data: bytes, piece: int = 1 << 20) -> list[int]:
    """The statuses of what is answered to bytes that are sent in pieces of so many."""
    with connected(port) as one:
        with CutOff():  # the answer may come before everything was sent
            for at in range(0, len(data), piece):
                one.sendall(data[at : at + piece])
        return [int(part[:3]) for part in rest(one).split(b"HTTP/1.1 ")[1:]]


def expect(port: int, data: bytes, *wanted: int) -> None:
    """The same answer for the bytes in one piece and cut up."""
    for piece in (len(data), 1000, 1):
        assert statuses(port, data, piece) == list(wanted), f"{data[:80]!r}, {piece} at a time"


def get(path: str, more: str = "Connection: close\r\n") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: a\r\n{more}\r\n".encode()


def with_length(path: str, size: int) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n"
    return head.encode() + b"x" * size


def chunked(path: str, size: int, chunk: int) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n"
    parts = [head.encode()]
    for at in range(0, size, chunk):
        length = min(chunk, size - at)
        parts.append(f"{length:x}\r\n".encode() + b"x" * length)
    return b"\r\n".join((*parts, b"0\r\n\r\n"))


def head_of(size: int, lines: int) -> bytes:
    """A head of so many bytes; its last line fills it."""
    start = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
    start += "".join(f"x-{number}: 1\r\n" for number in range(lines))
    return f"{start}x: {'y' * (size - len(start) - 7)}\r\n\r\n".encode()


@pytest.mark.parametrize("path", ["/", "/kept"])
def test_a_listeners_body_limit_holds_at_its_edge(edges: Edges, path: str) -> None:
    """Also where bodies are collected: at 512 bytes, which nginx takes for any size."""
    _body_limit(edges.web, path, 1024)


def test_a_routes_body_limit_takes_the_place_of_the_listeners(edges: Edges) -> None:
    _body_limit(edges.web, "/wide", 2048)
    expect(edges.web, with_length("/lifted", 4000), 200)
    expect(edges.web, chunked("/lifted", 4000, 100), 200)


def _body_limit(port: int, path: str, limit: int) -> None:
    for size, status in ((limit, 200), (limit + 1, 413)):
        expect(port, with_length(path, size), status)
        for chunk in (1, 100, limit, 9999):
            assert statuses(port, chunked(path, size, chunk)) == [status], f"{size} by {chunk}"
        expect(port, chunked(path, size, 100), status)


@pytest.mark.parametrize("lines", [0, 60])
def test_a_head_that_fits_is_served_and_one_that_is_1_kib_larger_is_not(
    edges: Edges, lines: int
) -> None:
    expect(edges.web, head_of(2048, lines), 200)
    expect(edges.web, head_of(2048 + 1024 + 1, lines), 431)


def test_a_request_line_of_more_than_1_kib_leaves_the_head_no_more_than_its_limit(
    edges: Edges,
) -> None:
    for over, status in ((0, 200), (1, 431)):
        path = "/" + "a" * (2048 + over - len(get("/")))
        expect(edges.web, get(path), status)


def test_the_limit_of_header_lines_holds_at_its_edge(edges: Edges) -> None:
    if not capabilities().has("max_headers"):
        unavailable("this nginx does not count header lines")
    expect(edges.web, head_of(1900, 97), 200)
    expect(edges.web, head_of(1900, 98), 431)


def test_the_last_request_of_a_connection_ends_it(edges: Edges) -> None:
    expect(edges.web, get("/", "") * 5, 200, 200, 200)


def test_an_answers_head_is_limited_at_its_edge(edges: Edges) -> None:
    for path, limit in (("/small", 4096), ("", 32768)):
        assert statuses(edges.web, get(f"{path}/{limit}")) == [200]
        assert statuses(edges.web, get(f"{path}/{limit + 1}")) == [502]


@pytest.mark.parametrize(("path", "most", "status"), [("/", 3, 503), ("/few", 2, 502)])
def test_requests_in_flight_are_limited_at_the_edge(
    edges: Edges, path: str, most: int, status: int
) -> None:
    """Of a client, above which nginx answers 503, and of an endpoint, where it has no queue."""
    line = f"GET {path.rstrip('/')}/silent HTTP/1.1\r\n"
    with ExitStack() as stack:
        for number in range(1, most + 1):
            one = stack.enter_context(connected(edges.web))
            one.sendall(get(f"{path.rstrip('/')}/silent"))
            until(partial(edges.endpoint.has_heads, line, number), "a request")
        assert statuses(edges.web, get(f"{path.rstrip('/')}/x")) == [status]
    until(lambda: statuses(edges.web, get(f"{path.rstrip('/')}/x")) == [200], "room again")


@pytest.mark.parametrize(
    ("port", "data", "answers"),
    [
        ("quick", b"", []),
        ("quick", b"GET / HTTP/1.1\r\nHo", []),
        ("idle", get("/", ""), [200]),
        ("secure", b"", []),
        ("secure", b"\x16\x03\x01\x02", []),
        ("web", with_length("/body", 3)[:-1], []),
        ("web", get("/try/silent"), [504]),
        ("web", get("/1st/silent"), [504]),
        ("web", get("/idle/silent"), [504]),
        ("web", get("/slow/half"), [200]),
        ("web", get("/deaf/x"), [504]),
    ],
    ids=[
        *("no-head", "half-a-head", "idle", "no-hello", "half-a-hello", "body", "per_try"),
        *("first_byte", "stream_idle", "stream_idle-in-an-answer", "connect"),
    ],
)
def test_a_timeout_ends_what_waits_and_not_sooner(
    edges: Edges, port: str, data: bytes, answers: list[int]
) -> None:
    took_s = DEFAULT_S
    for _ in range(TRIES):
        begun = time.monotonic()
        assert statuses(getattr(edges, port), data) == answers
        took_s = time.monotonic() - begun
        assert took_s >= (SLOW_S if b"/slow/" in data else QUICK_S) - EARLY_S
        if took_s < DEFAULT_S:
            return
    raise AssertionError(f"{took_s} s: that is the default")
