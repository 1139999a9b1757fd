"""The real nginx with the Lua balancer, for tests that take it, and upstreams for it."""

import contextlib
import socket
import ssl

from nginx_engine import capabilities
from peers import unavailable

from headgate.engines.nginx.render.lua import CAPABILITY


def takes_lua() -> None:
    """Skips the test by name, or fails in CI, where nginx has no Lua balancer."""
    if not capabilities().has(CAPABILITY):
        unavailable("nginx has no Lua balancer: sudo make system-deps")


def answer_all(server: socket.socket, body: bytes, tls: ssl.SSLContext | None = None) -> None:
    """Answers one request on each connection, until the listening socket is closed."""
    while True:
        try:
            link, _ = server.accept()
        except OSError:
            return
        with contextlib.suppress(OSError), link:
            stream = tls.wrap_socket(link, server_side=True) if tls is not None else link
            stream.recv(65536)
            head = f"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
            stream.sendall(head.encode() + body)
            stream.close()
