"""An upstream that answers each request with its head as JSON, over connections that live on."""

import json
import socket
import threading
from contextlib import suppress
from typing import Self


class EchoUpstream:
    """Listens on a free port until the block ends. Takes requests without a body."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        buffer = b""
        with connection, suppress(OSError):
            while True:
                while b"\r\n\r\n" not in buffer:
                    got = connection.recv(1 << 16)
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
                connection.sendall((start + length).encode() + body)
