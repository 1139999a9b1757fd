"""Enrolling simulated agents: by REST, trusting only the authority that the pin is of."""

import http.client
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import msgspec

from headgate.certificates.authority import key_pem, new_csr, new_key, pinned
from headgate.master.dev.simulated import Enrolment
from headgate.master.fleet import enrolment

_TIMEOUT_S = 30.0
_OK = 200
_KEPT_S = 2.0
T = TypeVar("T")


class JoinError(Exception):
    """The master refused, or does not answer as one."""


class Rest:
    """The REST port of one master, over a connection that is kept."""

    def __init__(self, address: str, pin: str) -> None:
        """`address` is `host:port`. Raises OSError, and Invalid if the pin is another
        authority's."""
        self._address = address
        self._used_at = 0.0
        # Nothing is trusted of this connection but the certificate that the pin is of.
        unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        unverified.check_hostname = False
        unverified.verify_mode = ssl.CERT_NONE
        with self._connection(unverified) as connection:
            authorities = self._ask(connection, "GET", enrolment.AUTHORITIES_PATH)
        self.authority_pem = pinned(authorities, pin)
        self._context = ssl.create_default_context(cadata=self.authority_pem.decode())
        self._kept = http.client.HTTPSConnection(address, context=self._context, timeout=_TIMEOUT_S)

    def enrol(self, token: str) -> Enrolment:
        """Returns a new agent. Raises JoinError and OSError."""
        key = new_key()
        body = enrolment.EnrolmentRequest(token, new_csr(key).decode(), program="simulated")
        answer = self.post(enrolment.ENROLMENT_PATH, enrolment.EnrolledAnswer, body)
        return Enrolment(
            answer.agent,
            key_pem(key),
            answer.certificate.encode(),
            answer.authorities.encode(),
            answer.manifest_keys,
        )

    def post(self, path: str, kind: type[T], body: object = None) -> T:
        """Returns the answer to a request. Raises JoinError and OSError."""
        text = b"" if body is None else msgspec.json.encode(body)
        return msgspec.json.decode(self._ask(self._kept, "POST", path, text), type=kind)

    def get(self, path: str, kind: type[T]) -> T:
        """The same, of a resource."""
        return msgspec.json.decode(self._ask(self._kept, "GET", path), type=kind)

    @contextmanager
    def _connection(self, context: ssl.SSLContext) -> Iterator[http.client.HTTPSConnection]:
        connection = http.client.HTTPSConnection(self._address, context=context, timeout=_TIMEOUT_S)
        try:
            yield connection
        finally:
            connection.close()

    def _ask(
        self,
        connection: http.client.HTTPSConnection,
        method: str,
        path: str,
        body: bytes | None = None,
    ) -> bytes:
        now = time.monotonic()
        if now - self._used_at > _KEPT_S:
            connection.close()  # the master may be closing it; the request opens another one
        self._used_at = now
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            text = answer.read()
        except http.client.HTTPException as error:
            connection.close()
            raise JoinError(f"{self._address} does not answer as a master: {error!r}") from None
        self._used_at = time.monotonic()
        if answer.status != _OK:
            raise JoinError(f"{method} {path}: {answer.status} {text.decode(errors='replace')}")
        return text
