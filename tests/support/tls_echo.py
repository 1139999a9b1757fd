"""A server of TCP with TLS that sends first, and whose halves end apart."""

import socket
import ssl

from socket_server import SocketServer
from stream_end import Secured
from tls_authority import Pair


class TlsEcho(SocketServer):
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
        super().__init__()

    def serve(self, link: socket.socket) -> None:
        """Greets, sends back, and ends."""
        with Secured(link, self.context, is_server=True) as end:
            self.agreed.append(end.tls.selected_alpn_protocol())
            end.send(self.name)
            while data := end.receive():
                end.send(data)
            end.end()
