"""Checks what certificates may say, as `hg-route` reads it (`certificate/patterns`)."""

import re
from ipaddress import ip_address
from typing import Final

from headgate.features import syntax
from headgate.kernel.errors import Invalid
from headgate.kernel.nearest import nearest

MOST_CHARACTERS: Final = 1024

_SUBJECT_ALLOWED: Final = (
    'write one as RFC 4514 does, such as "CN=alice,O=ACME", with `*` at the end of a value or '
    "`*,` before all"
)
_SAN_ALLOWED: Final = (
    'write "dns:a.example", "dns:*.example", "uri:spiffe://a.example/b/*", "email:a@b.example", '
    '"email:*@b.example" or "ip:192.0.2.7"'
)
_PRINT_ALLOWED: Final = "write 64 hex digits, as `openssl x509 -noout -fingerprint -sha256` does"

_TYPES: Final = ("CN", "C", "L", "ST", "STREET", "O", "OU", "DC", "UID", "emailAddress")
"""The short names that subjects are written with; others are numbers."""

_COMPONENT: Final = re.compile(r"(?:[^\\,]|\\.)+", re.DOTALL)
_ATTRIBUTE: Final = re.compile(r"([A-Za-z]+|[0-9]+(?:\.[0-9]+)+)=((?:[^\\+]|\\.)*)", re.DOTALL)
_ATTRIBUTES: Final = re.compile(r"(?:[^\\+]|\\.)+", re.DOTALL)
_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_DNS: Final = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*")
_EMAIL: Final = re.compile(rf"[!-~]+@{_LABEL}(?:\.{_LABEL})*")
_URI: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*:)(?://([^/*]+)(/.*)?|[^/*].*)")
_VISIBLE: Final = re.compile(r"[!#-+./0-9:<-\[\]-~-]+")


def subject(text: str) -> str:
    """Returns a pattern of subjects; raises `Invalid` for what no subject can be."""
    _sized(text)
    rest = text.removeprefix("*,")
    components = _COMPONENT.findall(rest)
    if ",".join(components) != rest or not components:
        raise Invalid(f"{syntax.described(text)} is not a subject", _SUBJECT_ALLOWED)
    for component in components:
        attributes = _ATTRIBUTES.findall(component)
        if "+".join(attributes) != component:
            raise Invalid(f"{syntax.described(text)} is not a subject", _SUBJECT_ALLOWED)
        for attribute in attributes:
            _attribute(attribute, is_only=len(attributes) == 1)
    return text


def _attribute(text: str, *, is_only: bool) -> None:
    found = _ATTRIBUTE.fullmatch(text)
    if found is None:
        raise Invalid(f"{syntax.described(text)} is no component", _SUBJECT_ALLOWED)
    kind, value = found[1], found[2]
    if kind.isalpha() and kind not in _TYPES:
        near = nearest(kind, _TYPES) or next((k for k in _TYPES if k.lower() == kind.lower()), None)
        known = f'write "{near}"' if near else f"write one of {', '.join(_TYPES)}, or a number"
        raise Invalid(f'no subject has a component "{kind}"', known)
    if "*" in (value.removesuffix("*") if is_only else value):
        what = "at the end of the value of a component with one attribute alone"
        raise Invalid(f"`*` stands {what}", _SUBJECT_ALLOWED)


def san(text: str) -> str:
    """Returns a pattern of alternative names as certificates have them; raises `Invalid` for what
    none can be.
    """
    _sized(text)
    kind, _, name = text.partition(":")
    check = {"dns": _dns, "uri": _uri, "email": _email, "ip": _ip}.get(kind)
    if check is None or not name:
        raise Invalid(f"{syntax.described(text)} is not an alternative name", _SAN_ALLOWED)
    return f"{kind}:{check(name)}"


def spiffe(text: str) -> str:
    """Returns a pattern of SPIFFE IDs; raises `Invalid` for what none can be."""
    _sized(text)
    if not text.startswith("spiffe://"):
        allowed = 'write one such as "spiffe://prod.example/ns/*/sa/web"'
        raise Invalid(f"{syntax.described(text)} is not a SPIFFE ID", allowed)
    return _uri(text)


def _dns(name: str) -> str:
    if _DNS.fullmatch(name.lower()) is None:
        raise Invalid(f"{syntax.described(name)} is not a DNS name", _SAN_ALLOWED)
    return name.lower()


def _email(address: str) -> str:
    local, _, domain = address.rpartition("@")
    text = f"{local}@{domain.lower()}"
    if not _EMAIL.fullmatch(text) or not _VISIBLE.fullmatch(local) or "*" in local.lstrip("*"):
        raise Invalid(f"{syntax.described(address)} is not an address", _SAN_ALLOWED)
    if "*" in local and local != "*":
        raise Invalid("`*` stands for all before the `@`", _SAN_ALLOWED)
    return text


def _uri(uri: str) -> str:
    found = _URI.fullmatch(uri)
    if found is None:
        raise Invalid(
            f"{syntax.described(uri)} is not a URI whose scheme and authority are written out",
            _SAN_ALLOWED,
        )
    if not _VISIBLE.fullmatch(uri):
        raise Invalid(
            f"{syntax.described(uri)} has characters that no URI has", "write %2C for a comma"
        )
    segments = (found[3] or "").split("/")[1:] if found[2] else [uri]
    for at, segment in enumerate(segments):
        if "*" in segment and segment != "*" and (segment, at) != ("**", len(segments) - 1):
            raise Invalid(
                "`*` stands for a whole segment, `**` for all that are left", _SAN_ALLOWED
            )
    return uri


def _ip(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise Invalid(f"{syntax.described(text)} is not an IP address", _SAN_ALLOWED) from None


def fingerprint(text: str) -> str:
    """Returns a SHA-256 in lower-case hex; raises `Invalid` for anything else."""
    digits = text.replace(":", "").lower()
    if re.fullmatch(r"[0-9a-f]{64}", digits) is None:
        raise Invalid(
            f"{syntax.described(text)} is not the SHA-256 of a certificate", _PRINT_ALLOWED
        )
    return digits


def _sized(text: str) -> None:
    if len(text) > MOST_CHARACTERS:
        raise Invalid(f"the text has {len(text)} characters", f"write at most {MOST_CHARACTERS}")
