"""Finds which certificate and policy a client gets by the name it asks for.

nginx chooses one server by the name asked for and by Host alike, so every name that has a
certificate of its own needs a server, whether routes name it or not (docs/reference/tls.md).
"""

import base64
import re
from dataclasses import dataclass
from typing import Final

from headgate.engines.nginx.observe.certificates import BadCertificateError, Leaf, parse_der
from headgate.engines.nginx.render.context import Context
from headgate.features.nginx import quoted
from headgate.kernel.ids import BlobId
from headgate.nginxtext.writer import Arg, MapKey, Plain, Regex
from headgate.plan.objects import ListenerTls

BUILT_IN: Final = "default"
"""The policy where a listener names none."""

ANY: Final = "*"

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----\s+([A-Za-z0-9+/=\s]+?)-----END CERTIFICATE-----")


@dataclass(frozen=True, slots=True)
class Offer:
    """A policy with certificates, by name; without certificates the handshake fails."""

    policy: str
    certificates: tuple[str, ...] = ()


@dataclass(slots=True)
class Offers:
    """The offers of one listener; `unknown` to unknown names, `none` without a name, which is also
    that of the names that the default certificate covers, unless a host has them.

    `negotiated` is the policy of its default server: where no certificate comes with the listener's
    own one, that of a host.
    """

    by_name: dict[str, Offer]
    covered: tuple[str, ...]
    unknown: Offer
    none: Offer
    negotiated: str = BUILT_IN

    @property
    def apart(self) -> tuple[str, ...]:
        """The names that the default certificate covers, where unknown ones get another offer."""
        return self.covered if self.unknown != self.none else ()

    def find(self, name: str) -> Offer | None:
        """Returns the offer for a name, or for names below it if it is a wildcard."""
        found = best(name, self.by_name)
        if found is not None:
            return self.by_name[found]
        return self.none if any(_covers(one, name) for one in self.covered) else None

    def of(self, name: str) -> Offer:
        """Returns the offer for a name, `unknown` for an unknown one."""
        return self.find(name) or self.unknown


def best(name: str, names: object) -> str | None:
    """Returns the most specific host that covers a name, or every name below a wildcard."""
    known = names if isinstance(names, dict | set | frozenset) else frozenset()
    if name in known:
        return name
    rest = name[2:] if name.startswith("*.") else name
    while "." in rest:
        rest = rest.partition(".")[2]
        if f"*.{rest}" in known:
            return f"*.{rest}"
    return ANY if ANY in known else None


def offers(tls: ListenerTls, ctx: Context) -> Offers:
    """Returns the offers of a listener."""
    policy = tls.policy or BUILT_IN
    default = (tls.default_certificate,) if tls.default_certificate else ()
    by_name: dict[str, Offer] = {}
    for name, host in ctx.hosts.items():
        own = host.certificates or default
        if own:
            by_name[name] = Offer(host.tls_policy or policy, own)
    none = Offer(policy, default)
    unknown = none if tls.unknown_sni == "default" else Offer(policy)
    covered = leaf(ctx, default[0]).names if default else ()
    used = {one.policy for one in (*by_name.values(), none) if one.certificates} or {policy}
    negotiated = policy if policy in used else min(used)
    return Offers(by_name, covered, unknown, none, negotiated)


def map_key(name: str, offered: Offers) -> Arg:
    """Returns a name for a map of hosts: the `*` of a certificate is one label, that of a host
    any.
    """
    if not name.startswith("*"):
        return MapKey(name)
    if name in offered.by_name:
        return Plain(name)
    return Regex(rf"~*\A[^.]+{quoted(name[1:])}\z")


def leaf(ctx: Context, certificate: str) -> Leaf:
    """Returns the leaf of a certificate; one without names if it is unreadable."""
    pem = ctx.blobs[BlobId(ctx.certificates[certificate].cert)]
    try:
        return parse_der(_der(pem))
    except (BadCertificateError, ValueError):
        return Leaf("", "", (), 0.0, 0.0, "")


def _der(pem: bytes) -> bytes:
    found = _PEM.search(pem)
    if found is None:
        raise ValueError("no certificate")
    return base64.b64decode(found[1])


def _covers(pattern: str, name: str) -> bool:
    """Reports whether a name of a certificate covers a host; `*.x` stands for one label."""
    if pattern.startswith("*."):
        label, dot, parent = name.partition(".")
        return bool(dot and label) and parent == pattern[2:]
    return pattern == name
