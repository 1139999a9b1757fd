"""Servers that the endpoints of tests are made of."""

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

from headgate.testing.server import HttpServer


@contextlib.contextmanager
def serving_http(handler: type[BaseHTTPRequestHandler], port: int = 0) -> Iterator[int]:
    """The port of a server, 0 = one of its own; it has ended with its connections afterwards."""
    with HttpServer(("127.0.0.1", port), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
