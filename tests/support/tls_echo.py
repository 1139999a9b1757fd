"""A server of TCP with TLS that sends first, and whose halves end apart."""

import socket
import ssl
import threading
from contextlib import suppress

from stream_end import Secured
from tls_authority import Pair


class TlsEcho:
    """A server that sends its name first, then what it gets, and its end after the client's."""

    def __init__(self, name: bytes, pair: Pair, alpn: list[str] | None = None) -> None:
        self.name = name
        self.agreed: list[str | None] = []
        self.asked: list[str | None] = []
        """The protocols agreed on, and the names asked for, by connection."""
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(pair.cert_file, pair.key_file)
        self.context.set_alpn_protocols(alpn or [])
        self.context.sni_callback = lambda _, asked, __: self.asked.append(asked)
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), Secured(connection, self.context, is_server=True) as end:
            self.agreed.append(end.tls.selected_alpn_protocol())
            end.send(self.name)
            while data := end.receive():
                end.send(data)
            end.end()

    def close(self) -> None:
        """Ends it, and its connections."""
        for one in (self._listener, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
