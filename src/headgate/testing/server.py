"""An HTTP server whose end is the end of its connections."""

import contextlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Request = socket.socket | tuple[bytes, socket.socket]


class HttpServer(ThreadingHTTPServer):
    """A thread for each connection; `server_close` ends connections too.

    The server of the standard library only stops listening then. Its threads go on to answer what
    comes over connections that the client kept, so that an endpoint that is gone still serves.
    """

    daemon_threads = True
    # A connection beyond the queue would be a second late: its SYN is sent again.
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._open: set[Request] = set()
        self._lock = threading.Lock()
        super().__init__(address, handler)

    def process_request(self, request: Request, client_address: object) -> None:
        """Serves a connection in a thread."""
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Request) -> None:
        """Closes a connection."""
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Stops listening, and ends every connection: whoever kept one reads its end."""
        super().server_close()
        with self._lock:
            for request in self._open:
                with contextlib.suppress(OSError):
                    # Not the method of a TLS socket, which would forget its keys while it is read.
                    socket.socket.shutdown(_stream(request), socket.SHUT_RDWR)

    def handle_error(self, request: Request, client_address: object) -> None:
        """Says nothing: clients and tests end connections as they like."""


def _stream(request: Request) -> socket.socket:
    return request if isinstance(request, socket.socket) else request[1]
