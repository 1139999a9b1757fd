"""Finds when the served certificates, roots and revocation lists end. The first one loads the
parser.
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

from headgate.kernel.ids import BlobId
from headgate.node.ports import Candidate
from headgate.plan.objects import Certificate, TlsPolicy, Upstream
from headgate.plan.plan import Plan
from headgate.plan.settings import Settings

DAY_S = 86_400.0
_LIST = re.compile(rb"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----", re.DOTALL)


class _Pem(NamedTuple):
    """A blob of PEM, and the way to its end."""

    name: str
    blob: str
    end: Callable[[bytes], float | None]


def expiries(served: Candidate | None) -> Iterator[tuple[str, float]]:
    """Yields (name, seconds since 1970) of the end of each certificate and bundle, by name.

    A certificate has its own name, and ends when the first of its chain does. The certificates that
    the node shows to a collector or a store, and bundles of roots, have the paths of their keys in
    the config; a bundle ends with its last root.
    """
    return _found(served, _certificates)


def next_updates(served: Candidate | None) -> Iterator[tuple[str, float]]:
    """Yields (path in the config, seconds since 1970) of each file of revocation lists, by path:
    the time by which the first of its lists must be replaced (RFC 5280 section 5.1.2.5).
    """
    return _found(served, _lists)


def _found(
    served: Candidate | None, pems: Callable[[Plan], Iterator[_Pem]]
) -> Iterator[tuple[str, float]]:
    if served is None:
        return
    for name, blob, end in sorted(pems(served.plan), key=lambda one: one.name):
        pem = served.blobs.get(BlobId(blob))
        until = end(pem) if pem is not None else None
        if until is not None:
            yield name, until


def _lists(plan: Plan) -> Iterator[_Pem]:
    for key, entry in plan.objects.items():
        auth = entry.value.client_auth if isinstance(entry.value, TlsPolicy) else None
        if auth is not None and auth.crl is not None:
            path = f"tls_policies.{key.name}.client_auth.crl_file"
            yield _Pem(path, auth.crl, _first_update)


def _certificates(plan: Plan) -> Iterator[_Pem]:
    for key, entry in plan.objects.items():
        one = entry.value
        if isinstance(one, Certificate):
            yield _Pem(str(key.name), one.cert, _first_end)
        elif isinstance(one, TlsPolicy) and one.client_auth is not None:
            path = f"tls_policies.{key.name}.client_auth.ca_file"
            yield _Pem(path, one.client_auth.ca, _last_end)
        elif isinstance(one, Upstream) and one.tls is not None and one.tls.ca is not None:
            yield _Pem(f"upstreams.{key.name}.tls.ca_file", one.tls.ca, _last_end)
        elif isinstance(one, Settings):
            yield from _of_outlets(one)


def _of_outlets(settings: Settings) -> Iterator[_Pem]:
    for name, tls in settings.outlets():
        if tls.cert is not None:
            yield _Pem(f"node.{name}", tls.cert, _first_end)
        if tls.ca is not None:
            yield _Pem(f"node.{name}.tls.ca_file", tls.ca, _last_end)


@lru_cache(maxsize=10_000)
def _first_end(pem: bytes) -> float | None:
    return min(_ends(pem), default=None)


@lru_cache(maxsize=1_000)
def _last_end(pem: bytes) -> float | None:
    return max(_ends(pem), default=None)


def _ends(pem: bytes) -> list[float]:
    from cryptography import x509  # noqa: PLC0415 - 8 MiB that a node without TLS need not hold

    from headgate.kernel.unreadable import UNREADABLE  # noqa: PLC0415 - as above

    try:
        chain = x509.load_pem_x509_certificates(pem)
    except UNREADABLE:
        return []
    return [one.not_valid_after_utc.timestamp() for one in chain]


@lru_cache(maxsize=1_000)
def _first_update(pem: bytes) -> float | None:
    from cryptography import x509  # noqa: PLC0415 - as above

    try:
        lists = [x509.load_pem_x509_crl(one[0]) for one in _LIST.finditer(pem)]
    except ValueError:
        return None
    updates = [one.next_update_utc for one in lists if one.next_update_utc is not None]
    return min((one.timestamp() for one in updates), default=None)
