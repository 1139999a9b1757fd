"""Describes the ends of a control link, for status and messages, and says what a handshake met."""

import os
import socket
import ssl
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

_NAME_KINDS: Final = frozenset({"DNS", "URI", "IP Address"})
_ALERTS: Final = {
    "UNKNOWN_CA": "it does not know the CA that signed our certificate; have its --ca file name "
    "that CA",
    "CERTIFICATE_REQUIRED": "it wants a certificate, and we sent none",
    "CERTIFICATE_EXPIRED": "our certificate has expired; renew it",
    "BAD_CERTIFICATE": "it does not accept our certificate",
    "UNSUPPORTED_CERTIFICATE": "our certificate is not made for this use; issue it with the "
    "extended key usage clientAuth",
    "CERTIFICATE_REVOKED": "our certificate was revoked",
    "PROTOCOL_VERSION": "it does not speak TLS 1.3",
    "HANDSHAKE_FAILURE": "it found nothing in common with us",
}


TURNED_AWAY: Final = (
    "the data plane hung up after the handshake: most often it does not accept our certificate; "
    "have its --ca name the CA that signed ours (its log says why)"
)


class Certificate(msgspec.Struct, frozen=True, omit_defaults=True):
    """`names` are its subject alternative names; `not_after` is Unix seconds, 0: there is none yet.

    `key` is `sha256:` and the hash of its public key, where the fleet's CA issued it; `serial` is
    in lower-case hex. `trouble` says why the master did not issue or renew it, if it is ours.
    """

    subject: str
    names: list[str]
    not_after: float
    key: str = ""
    serial: str = ""
    trouble: str = ""


class Peer(msgspec.Struct, frozen=True):
    """The other end: where it connects from or to, and what it said of itself."""

    address: str
    host: str
    pid: int
    version: str
    certificate: Certificate


class LinkStatus(msgspec.Struct, frozen=True):
    """The control link of a node whose planes are apart. Times are Unix seconds, 0 = never.

    `role` is our end. `address` is where the data plane listens for its control plane. `since` is
    when the link came up or went down. `error` says why it is down, `refused` whom the data plane
    refused last and why. `peer` is the other end, as it was when the link was last up.
    """

    role: str
    address: str
    connected: bool
    since: float
    last_contact: float
    certificate: Certificate
    protocol: int = 0
    error: str = ""
    refused: str = ""
    refusals: int = 0
    connections: int = 0
    peer: Peer | None = None


def certificate_of(found: Mapping[str, Any] | None) -> Certificate:
    """Returns the certificate in the form of `ssl.SSLSocket.getpeercert`."""
    found = found or {}
    subject = ",".join(f"{key}={value}" for rdn in found.get("subject", ()) for key, value in rdn)
    names = [value for kind, value in found.get("subjectAltName", ()) if kind in _NAME_KINDS]
    until = found.get("notAfter")
    not_after = float(ssl.cert_time_to_seconds(until)) if until else 0.0
    serial = str(found.get("serialNumber", "")).lower().lstrip("0")
    return Certificate(subject, names, not_after, serial=serial)


def misnamed(certificate: Certificate, wanted: Iterable[str]) -> str:
    """Returns why a certificate has none of the wanted names; empty when it has, or none is.

    >>> misnamed(Certificate("CN=a", ["a.test"], 0.0), ["b.test"])
    'the certificate is for a.test; --control-name wants b.test'
    """
    allowed = list(wanted)
    if not allowed or set(allowed) & set(certificate.names):
        return ""
    has = ", ".join(certificate.names) or "no name"
    return f"the certificate is for {has}; --control-name wants {' or '.join(allowed)}"


def met(error: Exception, name: str) -> str:
    """Returns what a control plane met while it connected; `name` is the expected one."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _unverified(error, name)
    if isinstance(error, ssl.SSLError):
        reason = str(getattr(error, "reason", None) or error)
        for alert, why in _ALERTS.items():
            if reason.endswith(alert):
                return f"the data plane refused the connection: {why}"
        return f"TLS failed: {reason.lower().replace('_', ' ')}"
    if isinstance(error, TimeoutError | EOFError):
        return "it does not answer" if isinstance(error, TimeoutError) else "it hung up"
    number = getattr(error, "errno", None)
    if isinstance(number, int) and number > 0 and not isinstance(error, socket.gaierror):
        return os.strerror(number).lower()
    return str(error).lower() or "it hung up"


def _unverified(error: ssl.SSLCertVerificationError, name: str) -> str:
    why = error.verify_message
    if "mismatch" in why or "doesn't match" in why:
        return (
            f"the data plane's certificate is not for {name}; "
            "give the name that it has with --dataplane-name"
        )
    if "expired" in why:
        return "the data plane's certificate has expired; renew it"
    if "not yet valid" in why:
        return "the data plane's certificate is not valid yet; look at the clocks"
    if "issuer" in why or "self" in why:
        return (
            f"the data plane's certificate is not signed by our CA ({why}); "
            "have --ca name the CA that signed it"
        )
    return f"the data plane's certificate is refused: {why}"
