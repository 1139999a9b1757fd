"""Canonical bytes of plan objects (`hg1`): sorted keys, no white space, defaults left out."""

from typing import Final

import msgspec

from headgate.plan.kinds import Kind
from headgate.plan.middleware import Middleware
from headgate.plan.node import PlanNode, plain_text
from headgate.plan.objects import Certificate, Host, Listener, Route, TlsPolicy, Upstream
from headgate.plan.opaque import Opaque
from headgate.plan.settings import Settings
from headgate.plan.tcp import TcpRoute
from headgate.plan.udp import UdpRoute

PlanObject = (
    Settings
    | Listener
    | Host
    | Route
    | Middleware
    | Upstream
    | Certificate
    | TlsPolicy
    | TcpRoute
    | UdpRoute
)

OBJECTS: Final[dict[Kind, type[PlanObject]]] = {
    "settings": Settings,
    "listener": Listener,
    "host": Host,
    "route": Route,
    "middleware": Middleware,
    "upstream": Upstream,
    "certificate": Certificate,
    "tls_policy": TlsPolicy,
    "tcp_route": TcpRoute,
    "udp_route": UdpRoute,
}


def _plain(value: object) -> object:
    """Encodes what is no type of msgspec: what is opaque, and text that remembers its source."""
    return value.canonical() if isinstance(value, Opaque) else plain_text(value)


_ENCODER: Final = msgspec.json.Encoder(order="sorted", enc_hook=_plain)


def _opaque(kind: type, value: object) -> object:
    """Decodes a middleware or a policy as far as a plan knows it."""
    if issubclass(kind, Opaque):
        return kind.decoded(value)
    raise NotImplementedError(f"{kind.__name__} is not part of a plan")


_DECODERS: Final = {
    kind: msgspec.json.Decoder(node, dec_hook=_opaque) for kind, node in OBJECTS.items()
}


def encode(node: PlanNode | Opaque) -> bytes:
    """Returns the canonical bytes of an object; about a microsecond."""
    return _ENCODER.encode(node)


def decode(kind: Kind, canonical: bytes) -> PlanObject:
    """Returns the object of that kind; raises `msgspec.ValidationError` for other bytes."""
    return _DECODERS[kind].decode(canonical)
