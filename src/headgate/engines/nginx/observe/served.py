"""Finds which certificate a listener really serves for a name,
and whether it is the one on disk.
"""

import contextlib
import socket
import ssl
from collections.abc import Iterable, Sequence
from typing import Final, Literal

import msgspec

from headgate.engines.nginx.observe.certificates import (
    BadCertificateError,
    CertificateFile,
    Leaf,
    parse_der,
)

SOON_DAYS: Final = 21.0
"""A certificate that ends sooner is a finding: renewals come a month before the end."""

_PROBE_S: Final = 2.0
_PROXY: Final = b"PROXY UNKNOWN\r\n"


class Served(msgspec.Struct, frozen=True):
    """The result of a handshake: a leaf, or why there was none. An empty `name`: without SNI."""

    address: str
    name: str
    leaf: Leaf | None = None
    problem: str = ""


class CertificateFinding(msgspec.Struct, frozen=True):
    """Something a person should do about a certificate."""

    code: Literal[
        "unreadable",
        "expired",
        "expires_soon",
        "not_yet_valid",
        "key_differs",
        "not_loaded",
        "not_served",
    ]
    path: str
    message: str


def probe(
    address: str, name: str, *, proxy_protocol: bool = False, timeout_s: float = _PROBE_S
) -> Served:
    """Shakes hands with a listener (`0.0.0.0:443`, `[::]:443`) and reads its certificate.

    It verifies nothing and sends no request. `name` may be a server name with a wildcard.
    `proxy_protocol`: the listener wants a PROXY header first. Never raises.
    """
    asked = probed_name(name)
    try:
        host, port = _reachable(address)
        with socket.create_connection((host, port), timeout_s) as plain:
            plain.settimeout(timeout_s)
            if proxy_protocol:
                plain.sendall(_PROXY)
            with _context().wrap_socket(plain, server_hostname=asked or None) as tls:
                der = tls.getpeercert(binary_form=True)
        if der is None:
            return Served(address, name, problem="no certificate came")
        return Served(address, name, parse_der(der))
    except (OSError, ValueError, BadCertificateError) as error:
        return Served(address, name, problem=str(error) or type(error).__name__)


def probed_name(name: str) -> str:
    """Returns the name to ask for; empty for a server name without a particular host.

    >>> [probed_name(name) for name in ("*.a.example", ".a.example", "a.example", "_", "~^x")]
    ['headgate-probe.a.example', 'a.example', 'a.example', '', '']
    """
    if name.startswith("*."):
        return f"headgate-probe{name[1:]}"
    name = name.removeprefix(".")
    is_plain = (
        "." in name and not name.startswith("~") and not name.endswith("*") and ":" not in name
    )
    return name if is_plain and name.isascii() else ""


def findings(
    files: Iterable[CertificateFile],
    served: Iterable[tuple[Sequence[CertificateFile], Served]],
    now_s: float,
) -> list[CertificateFinding]:
    """Returns what is wrong with certificates at `now_s` (since 1970).

    `served` pairs what a config names for a server (RSA and ECDSA, perhaps) with what a handshake
    for it brought.
    """
    found = [finding for one in files for finding in _of_file(one, now_s)]
    seen: set[tuple[str, str]] = set()
    for own, answer in served:
        known = {file.leaf.sha256: file for file in own if file.leaf is not None}
        if not known:
            continue
        first = next(iter(known.values()))
        if answer.leaf is None:
            message = f"{answer.address} does not serve {answer.name or 'it'}: {answer.problem}"
            found.append(CertificateFinding("not_served", first.path, message))
        elif answer.leaf.sha256 not in known and (first.path, answer.leaf.sha256) not in seen:
            seen.add((first.path, answer.leaf.sha256))
            found.append(_not_loaded(list(known.values()), answer.leaf, answer))
    return found


def _not_loaded(files: Sequence[CertificateFile], leaf: Leaf, answer: Served) -> CertificateFinding:
    """Returns the finding for a served certificate that is not in the files."""
    name = answer.name or "no name"
    for file in files:
        if file.leaf is None or set(file.leaf.names) != set(leaf.names):
            continue
        is_renewed = leaf.not_after_s < file.leaf.not_after_s
        what = (
            "renewed, but nginx was not reloaded"
            if is_renewed
            else ("replaced, but nginx serves another one of the same names")
        )
        return CertificateFinding(
            "not_loaded", file.path, f"it was {what} ({answer.address}, {name})"
        )
    message = f"{answer.address} serves another certificate for {name}"
    return CertificateFinding("not_loaded", files[0].path, message)


def _of_file(file: CertificateFile, now_s: float) -> Iterable[CertificateFinding]:
    leaf = file.leaf
    if leaf is None:
        # Only handshakes show certificates behind variables.
        if "variables" not in file.problem:
            yield CertificateFinding("unreadable", file.path, file.problem)
        return
    days = leaf.days_left(now_s)
    if days < 0:
        yield CertificateFinding("expired", file.path, f"it has expired {-days:.0f} days ago")
    elif days < SOON_DAYS:
        yield CertificateFinding("expires_soon", file.path, f"it expires in {days:.0f} days")
    if leaf.not_before_s > now_s:
        yield CertificateFinding("not_yet_valid", file.path, "it is not valid yet")
    if file.key == "differs":
        yield CertificateFinding("key_differs", file.path, f"{file.key_path} is not its key")


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    # Old protocol versions are not our concern; here only the certificate counts.
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with contextlib.suppress(ssl.SSLError):
        context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def _reachable(address: str) -> tuple[str, int]:
    """Returns where its own host reaches a wildcard listener."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    return {"": "127.0.0.1", "*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(  # noqa: S104
        host, host
    ), int(port)
