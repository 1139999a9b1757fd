"""`headgate tap`: the lines of a node, and what people read of them."""

import http.client
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs

from headgate.cli import calls
from headgate.cli import tap as module
from headgate.cli.tap import Shown, TapError, text

LINE = b'{"time":"2026-11-20T08:59:02.123456Z","status":404}\n'


def test_no_control_character_of_a_client_reaches_a_terminal() -> None:
    shown = text(Shown(method="GET", target="/\x1b[2J", headers=[("x-a", "\x07é")]))
    assert "/?[2J" in shown
    assert shown.splitlines()[1] == "    x-a: ?é"


def _node(folder: Path, asked: list[bytes]) -> threading.Thread:
    """A node with two requests to show."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(folder / "admin.sock"))
    listening.listen()

    def serve() -> None:
        with listening, listening.accept()[0] as one:
            asked.append(one.recv(65_536).partition(b"\r\n")[0])
            one.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for part in (LINE, LINE, b""):
                one.sendall(b"%x\r\n%b\r\n" % (len(part), part))

    serving = threading.Thread(target=serve)
    serving.start()
    return serving


def test_lines_come_for_as_long_as_the_node_has_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bytes] = []
    made: list[http.client.HTTPConnection] = []
    serving = _node(tmp_path, asked)
    connection = calls.connection

    def kept(state_dir: Path) -> http.client.HTTPConnection:
        made.append(connection(state_dir))
        return made[0]

    monkeypatch.setattr(calls, "connection", kept)
    found = module.lines(tmp_path, {"host": "a", "path": "/v1"})
    assert next(found) == LINE
    assert made[0].sock.gettimeout() is None, "hours may pass without a request"
    assert list(found) == [LINE]
    assert made[0].sock is None, "it is closed"
    serving.join()
    assert asked == [b"GET /tap?host=a&path=%2Fv1 HTTP/1.1"]


def test_without_a_node_there_is_no_line(tmp_path: Path) -> None:
    with pytest.raises(calls.NoNodeError, match=f"no node runs at {tmp_path}"):
        list(module.lines(tmp_path, {}))


def test_what_is_not_known_of_a_request_is_a_dash_and_its_way_is_told() -> None:
    assert text(Shown(scheme="http", host="a", status=400)) == "  - http://a 400 0.0ms -\n"
    whole = Shown("2026-11-20T08:59:02.123456Z", "::1", "PUT", "https", "a", "/b", 502, 1_000_000)
    way = structs.replace(whole, route="r", upstream="u", endpoint="e", reason="timeout")
    assert text(way) == "08:59:02.123 ::1 PUT https://a/b 502 1.00s r > u e (timeout)\n"


class Refusing:
    """A connection to a node that refuses, with a body of its own."""

    sock = None
    status = 400

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.is_closed = False

    def request(self, _method: str, _path: str) -> None:
        pass

    def getresponse(self) -> "Refusing":
        return self

    def read(self) -> bytes:
        return self.body

    def __iter__(self) -> Iterator[bytes]:
        return iter((LINE,))

    def close(self) -> None:
        self.is_closed = True


@pytest.mark.parametrize(
    ("body", "said"), [(b'{"error":"no such route"}', "no such route"), (b"away\n", "away")]
)
def test_what_a_node_refuses_with_is_no_line(
    body: bytes, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Refusing(body)
    monkeypatch.setattr(calls, "connection", lambda _: one)
    with pytest.raises(TapError, match=f"^{said}$"):
        list(module.lines(Path("/none"), {}))
    assert one.is_closed
