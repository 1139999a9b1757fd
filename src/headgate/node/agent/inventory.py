"""The certificates that a node serves with, as its master lists them. Never reads a key."""

from collections.abc import Iterable
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

from headgate.engines.status import CertificateStatus
from headgate.fleet.codec import MOST_CERTIFICATES, MOST_NAMES
from headgate.fleet.frames import Inventory, SeenCertificate
from headgate.kernel.unreadable import UNREADABLE
from headgate.node.ports import Candidate
from headgate.plan.objects import Certificate

_MS = 1000
_MOST_BYTES = 256 << 10
"""A master takes frames of 1 MiB at most."""


def inventory_of(
    served: Candidate | None, watched: Iterable[CertificateStatus] = ()
) -> Inventory | None:
    """Returns the certificates of the config that is served, and those of an nginx that is only
    watched, by their paths; those that end first first. None while nothing is served."""
    if served is None:
        return None
    found: list[SeenCertificate] = []
    for key, one in served.plan.objects.items():
        if key.kind != "certificate" or not isinstance(one.value, Certificate):
            continue
        pem = served.blobs.get(one.value.cert)
        seen = _seen(str(key.name), pem) if pem is not None else None
        if seen is not None:
            found.append(seen)
    found += (
        SeenCertificate(
            name=one.path,
            names=one.names[:MOST_NAMES],
            issuer=one.issuer,
            fingerprint=one.sha256,
            not_after_ms=int(one.not_after * _MS),
        )
        for one in watched
        if one.sha256
    )
    found.sort(key=lambda seen: (seen.not_after_ms, seen.name))
    left, listed = _MOST_BYTES, []
    for seen in found[:MOST_CERTIFICATES]:
        left -= len(seen.issuer) + len(seen.name) + sum(map(len, seen.names))
        if left < 0:
            break
        listed.append(seen)
    return Inventory(len(found), tuple(listed))


@lru_cache(maxsize=10_000)
def _seen(name: str, pem: bytes) -> SeenCertificate | None:
    try:
        chain = x509.load_pem_x509_certificates(pem)
    except UNREADABLE:
        return None
    leaf = chain[0]
    ends = min(one.not_valid_after_utc.timestamp() for one in chain)
    return SeenCertificate(
        name=name,
        names=_names(leaf)[:MOST_NAMES],
        issuer=_issuer(leaf),
        fingerprint=leaf.fingerprint(SHA256()).hex(),
        not_after_ms=int(ends * _MS),
    )


def _issuer(leaf: x509.Certificate) -> str:
    try:
        return leaf.issuer.rfc4514_string()
    except ValueError:  # an old CA's text, in an encoding of its own
        return ""


def _names(leaf: x509.Certificate) -> tuple[str, ...]:
    try:
        listed = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, *UNREADABLE):
        return _common(leaf)
    addresses = (str(one) for one in listed.get_values_for_type(x509.IPAddress))
    return (*listed.get_values_for_type(x509.DNSName), *addresses)


def _common(leaf: x509.Certificate) -> tuple[str, ...]:
    try:
        common = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except ValueError:  # as above
        return ()
    return tuple(str(one.value) for one in common)
