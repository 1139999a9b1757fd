"""The certificate that a master shows its agents: of the fleet's authority, renewed by itself."""

import datetime as dt
import threading
from collections.abc import Callable, Iterable

from cryptography import x509

from headgate.certificates.authority import key_pem, new_key
from headgate.certificates.identity import renew_at
from headgate.certificates.rotation import Authorities
from headgate.master.fleet.grpc_server import ServerTls


class ServerIdentity:
    """A key that lives as long as the process, and its certificate."""

    def __init__(
        self,
        names: Iterable[str],
        authorities: Callable[[], Authorities],
        now: Callable[[], dt.datetime],
    ) -> None:
        """`names`: host names and addresses that agents dial; `authorities` returns those of this
        moment, without waiting for anything: handshakes ask."""
        self._names = tuple(dict.fromkeys(names))
        self._authorities = authorities
        self._now = now
        self._key = new_key()
        self._key_pem = key_pem(self._key)
        self._lock = threading.Lock()
        self._issued: tuple[x509.Certificate, bytes] | None = None
        self._renew_at: dt.datetime | None = None

    def __call__(self) -> ServerTls:
        """Returns what handshakes use: the certificate is renewed after two thirds of its life,
        and as soon as another authority issues. From any thread."""
        authorities = self._authorities()
        issuer = authorities.issuer
        with self._lock:
            issued = self._issued
            is_old = self._renew_at is None or self._now() >= self._renew_at
            if issued is None or is_old or issued[0] != issuer.certificate:
                chain = issuer.server(self._key.public_key(), self._names, self._now())
                issued = self._issued = (issuer.certificate, chain)
                self._renew_at = renew_at(x509.load_pem_x509_certificate(chain))
        return ServerTls(self._key_pem, issued[1], authorities.pem)
