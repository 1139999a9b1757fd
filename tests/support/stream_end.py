"""One end of a TCP connection, plain or with TLS, whose halves end apart."""

import socket
import ssl
import threading
from contextlib import suppress
from typing import Self

from waiting import DEADLINE_S

_READ = 65536


class Plain:
    """An end without TLS."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(DEADLINE_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = connection

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Sends everything."""
        self.socket.sendall(data)

    def receive(self) -> bytes:
        """What has come; empty once the peer has ended its half."""
        return self.socket.recv(_READ)

    def rest(self) -> bytes:
        """Everything to the peer's end."""
        got = b""
        while data := self.receive():
            got += data
        return got

    def end(self) -> None:
        """Ends its half."""
        self.socket.shutdown(socket.SHUT_WR)


class Secured(Plain):
    """An end with TLS (OpenSSL), once its hands are shaken.

    Two threads may use it: one sends, the other receives. An end of the connection without
    close_notify is an `ssl.SSLEOFError`.
    """

    def __init__(
        self,
        connection: socket.socket,
        context: ssl.SSLContext,
        name: str | None = None,
        *,
        is_server: bool = False,
        session: ssl.SSLSession | None = None,
    ) -> None:
        super().__init__(connection)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._lock, self._turn = threading.Lock(), threading.Lock()
        self._early = b""
        self.tls = context.wrap_bio(
            self._in, self._out, server_side=is_server, server_hostname=name, session=session
        )
        self.shake_hands()

    def shake_hands(self) -> None:
        """Completes the handshake."""
        while True:
            with suppress(ssl.SSLWantReadError):
                self.tls.do_handshake()
                self._flush()
                return
            self._flush()
            self._more()

    def _flush(self) -> None:
        # Records leave in the order in which they were made.
        with self._turn:
            with self._lock:
                data = self._out.read()
            self.socket.sendall(data)

    def _more(self) -> None:
        data = self.socket.recv(_READ)
        with self._lock:
            if data:
                self._in.write(data)
            else:
                self._in.write_eof()

    def send(self, data: bytes) -> None:
        """Sends everything."""
        if data:
            with self._lock:
                self.tls.write(data)
            self._flush()

    def receive(self) -> bytes:
        """What has come; empty once the peer has ended its half."""
        while True:
            with self._lock:
                if self._early:
                    early, self._early = self._early, b""
                    return early
                with suppress(ssl.SSLWantReadError):
                    return self._read()
            self._more()

    def _read(self) -> bytes:
        try:
            return self.tls.read(_READ)
        except ssl.SSLZeroReturnError:
            return b""

    def end(self) -> None:
        """Ends its half with close_notify, and then that of the connection."""
        with self._lock:
            # OpenSSL looks for the peer's close_notify as well, and fails where data is before it.
            with suppress(ssl.SSLWantReadError):
                while data := self._read():
                    self._early += data
            with suppress(ssl.SSLWantReadError):
                self.tls.unwrap()
        self._flush()
        self.socket.shutdown(socket.SHUT_WR)
