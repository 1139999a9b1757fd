"""The agent of an endpoint: a TCP server that answers each connection with one line."""

import socketserver
import threading


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


class EndpointAgent:
    """Answers with `says`, after it has read as many bytes as `hears` has; until it is closed."""

    def __init__(self, host: str, port: int = 0, hears: bytes = b"") -> None:
        """`port` 0 = one of its own."""
        self.says = "up ready 100%\n"
        agent = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                if self.rfile.read(len(hears)) == hears:
                    self.wfile.write(agent.says.encode())

        self._server = _Server((host, port), Handler)
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stops it."""
        self._server.shutdown()
        self._server.server_close()
