"""Servers that answer a byte at a time: no fetch lasts longer for that."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tls_authority import Authority

from headgate.kernel.key_sets import KeySetUrl
from headgate.node.key_sets.deadline import Deadline
from headgate.node.key_sets.failure import FetchError
from headgate.node.key_sets.fetch import fetch

TOTAL_S = 1.0
PACE_S = 0.02


class Slow:
    """Sends `lead`, and then a byte at a time, until it is hung up."""

    def __init__(self, lead: bytes, tls: ssl.SSLContext | None) -> None:
        self._lead = lead
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.hung_up = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self) -> None:
        with contextlib.suppress(OSError), self._listener.accept()[0] as link:
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            wrapped = self._tls.wrap_socket(link, server_side=True) if self._tls else link
            with wrapped:
                wrapped.sendall(self._lead)
                while not self.hung_up.wait(PACE_S):
                    wrapped.sendall(b"a")
        self.hung_up.set()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self.hung_up.set()
            self._listener.close()
            self._thread.join()


@pytest.mark.parametrize("in_handshake", [False, True])
def test_a_head_or_a_handshake_that_never_ends_is_given_up(
    tmp_path: Path, in_handshake: bool
) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("slow", "127.0.0.1")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pair.cert_file, pair.key_file)
    record = b"\x16\x03\x03\x40\x00\x02"
    slow = Slow(record, None) if in_handshake else Slow(b"HTTP/1.1 200 OK\r\nx: ", tls)
    with slow.running():
        ca = Path(authority.ca_file).read_text(encoding="utf-8")
        wanted = KeySetUrl(f"https://127.0.0.1:{slow.port}/", 1000, ca)
        with pytest.raises(FetchError) as found:
            fetch(wanted, total_s=TOTAL_S)
        assert found.value.reason == "timeout", found.value


class Opened:
    """What httpcore tells of a connection."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link

    def get_extra_info(self, what: str) -> socket.socket | None:
        return self._link if what == "socket" else None


def test_what_is_connected_after_the_end_ends_at_once() -> None:
    near, far = socket.socketpair()
    with near, far, Deadline(0) as deadline:
        deadline.note("connection.start_tls.complete", {"return_value": Opened(near)})
        deadline.note("connection.connect_tcp.complete", {"return_value": object()})
        deadline.note("connection.connect_tcp.complete", {"return_value": Opened(near)})
        assert far.recv(1) == b""
        assert near.fileno() >= 0
    assert deadline.is_over
