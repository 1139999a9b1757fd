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
        self._leaf: x509.Certificate | None = None

    def __call__(self) -> ServerTls:
        """Returns what handshakes use: the certificate is renewed after two thirds of its life,
        as soon as another authority issues, and if the clock was set back to before it. From any
        thread."""
        authorities = self._authorities()
        issuer = authorities.issuer
        with self._lock:
            issued = self._issued
            now, leaf = self._now(), self._leaf
            is_due = leaf is None or not leaf.not_valid_before_utc <= now < renew_at(leaf)
            if issued is None or is_due or issued[0] != issuer.certificate:
                chain = issuer.server(self._key.public_key(), self._names, now)
                issued = self._issued = (issuer.certificate, chain)
                self._leaf = x509.load_pem_x509_certificate(chain)
        return ServerTls(self._key_pem, issued[1], authorities.pem)
