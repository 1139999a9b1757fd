"""The real nginx with the Lua balancer, for tests that take it, and upstreams for it."""

import contextlib
import os
import socket
import ssl

import pytest
from nginx_engine import capabilities

from headgate.engines.nginx.render.lua import CAPABILITY


def takes_lua() -> None:
    """Skips the test by name, or fails in CI, where nginx has no Lua balancer."""
    if capabilities().has(CAPABILITY):
        return
    reason = "nginx has no Lua balancer: sudo make system-deps"
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


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
