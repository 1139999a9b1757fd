"""A small HTTPS server of key sets, for tests, and tokens of their keys."""

import json
import ssl
import threading
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Self

from joserfc import jwt
from joserfc.jwk import ECKey
from tls_authority import Authority

from headgate.testing.server import HttpServer


class SigningKey:
    """A key of an issuer."""

    def __init__(self, kid: str) -> None:
        self.kid = kid
        self._key = ECKey.generate_key("P-256", {"kid": kid})
        self.public = self._key.as_dict(private=False)

    def token(self, **claims: object) -> str:
        """A token that ends in an hour."""
        every = {"exp": int(time.time()) + 3600, "sub": "bob", **claims}
        return jwt.encode({"alg": "ES256", "kid": self.kid}, every, self._key)


def set_of(keys: Sequence[SigningKey]) -> bytes:
    """The key set of these keys."""
    return json.dumps({"keys": [key.public for key in keys]}).encode()


class KeyServer:
    """Answers `body` with `status` and `headers` to whoever asks; change them at any time.

    `asked` counts requests. Use as a context manager; it may be started again on its port.
    """

    def __init__(self, folder: Path, keys: Sequence[SigningKey] = (), port: int = 0) -> None:
        authority = Authority(folder, "keys authority")
        pair = authority.issue("key-server", "127.0.0.1")
        self.ca_file = authority.ca_file
        self.body = set_of(keys)
        self.status = 200
        self.headers: dict[str, str] = {}
        self.asked = 0
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(pair.cert_file, pair.key_file)
        self.port = port
        self._server: HttpServer | None = None

    @property
    def url(self) -> str:
        """Where the key set is."""
        return f"https://127.0.0.1:{self.port}/jwks.json"

    def start(self) -> None:
        """Begins to answer."""
        server = HttpServer(("127.0.0.1", self.port), self._handler())
        server.socket = self._tls.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self._server = server

    def stop(self) -> None:
        """Ends it: connections are refused."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked += 1
                self.send_response(outer.status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(outer.body)))
                self.end_headers()
                self.wfile.write(outer.body)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        return Handler
