"""An upstream that answers each request with its head as JSON, over connections that live on."""

import json
import socket

from socket_server import SocketServer


class EchoUpstream(SocketServer):
    """Takes requests without a body."""

    def serve(self, link: socket.socket) -> None:
        """Answers one request after the other."""
        buffer = b""
        while True:
            while b"\r\n\r\n" not in buffer:
                got = link.recv(1 << 16)
                if not got:
                    return
                buffer += got
            head, _, buffer = buffer.partition(b"\r\n\r\n")
            line, *fields = head.decode("latin-1").split("\r\n")
            pairs = [field.partition(": ")[::2] for field in fields]
            seen = {"line": line, "fields": [[n.lower(), v] for n, v in pairs]}
            body = json.dumps(seen).encode()
            start = "HTTP/1.1 200 OK\r\nServer: echo\r\nX-Up: 1\r\nX-Up: 2\r\n"
            length = f"Content-Length: {len(body)}\r\n\r\n"
            link.sendall((start + length).encode() + body)
