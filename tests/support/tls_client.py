"""A TLS client for tests of a running node: what it was given, and load that never stops."""

import http.client
import socket
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography import x509
from tls_authority import Pair
from waiting import DEADLINE_S, until


@dataclass(frozen=True)
class Seen:
    """One answer, and the session it came over."""

    status: int
    body: bytes
    serial: int
    version: str | None
    alpn: str | None
    is_resumed: bool


class Connection(http.client.HTTPConnection):
    """Connects to a loopback port, whatever name is asked for by SNI (None = no SNI)."""

    def __init__(
        self,
        port: int,
        sni: str | None,
        context: ssl.SSLContext,
        session: ssl.SSLSession | None = None,
    ) -> None:
        super().__init__("127.0.0.1", port, timeout=DEADLINE_S)
        self._sni, self._context, self._session = sni, context, session

    def connect(self) -> None:
        """Connects and shakes hands."""
        super().connect()
        plain: socket.socket = self.sock
        self.sock = self._context.wrap_socket(
            plain, server_hostname=self._sni, session=self._session
        )

    @property
    def tls(self) -> ssl.SSLSocket:
        """The connection's TLS, once connected."""
        assert isinstance(self.sock, ssl.SSLSocket)
        return self.sock

    def ask(self, host: str | None = None, path: str = "/") -> Seen:
        """One request; `host` where it differs from the name asked for."""
        self.request("GET", path, headers={"host": host or self._sni or "a.example"})
        # Before the answer: one that ends the connection leaves nothing to ask.
        tls = self.tls
        der = tls.getpeercert(binary_form=True)
        assert der is not None
        serial = x509.load_der_x509_certificate(der).serial_number
        version, alpn = tls.version(), tls.selected_alpn_protocol()
        is_resumed = bool(tls.session_reused)
        response = self.getresponse()
        return Seen(response.status, response.read(), serial, version, alpn, is_resumed)


def trusting(
    ca_file: Path,
    *,
    version: ssl.TLSVersion | None = None,
    identity: Pair | None = None,
    ciphers: str | None = None,
) -> ssl.SSLContext:
    """A client's settings; `ciphers` are OpenSSL's names and count for TLS 1.2."""
    context = ssl.create_default_context(cafile=str(ca_file))
    context.set_alpn_protocols(["http/1.1"])
    if version is not None:
        context.minimum_version = context.maximum_version = version
    if identity is not None:
        context.load_cert_chain(identity.cert_file, identity.key_file)
    if ciphers is not None:
        context.set_ciphers(ciphers)
    return context


def nameless(context: ssl.SSLContext) -> ssl.SSLContext:
    """The same, for connections without SNI."""
    context.check_hostname = False
    return context


def ask(port: int, sni: str | None, context: ssl.SSLContext, host: str | None = None) -> Seen:
    """One request on a connection of its own."""
    connection = Connection(port, sni, context)
    try:
        return connection.ask(host)
    finally:
        connection.close()


class TlsLoad:
    """Requests until the block ends: half of the threads keep their connection, the others shake
    hands for each request."""

    def __init__(self, port: int, sni: str, context: ssl.SSLContext, threads: int = 4) -> None:
        self.seen: list[Seen] = []
        self.failures: list[str] = []
        self._to = (port, sni, context)
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(index % 2 == 0,), daemon=True)
            for index in range(threads)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        try:
            until(lambda: len(self.seen) > 20, "load")
        except BaseException:
            self._stop.set()  # nobody calls __exit__
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def serials(self) -> set[int]:
        """Of the certificates seen so far."""
        return {seen.serial for seen in self.seen}

    def _run(self, keeps: bool) -> None:
        connection = Connection(*self._to)
        while not self._stop.is_set():
            try:
                seen = connection.ask()
                if seen.status != 200:
                    self.failures.append(f"{seen.status} {seen.body!r}")
                self.seen.append(seen)
                if not keeps:
                    connection.close()
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                connection.close()
        connection.close()
