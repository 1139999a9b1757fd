"""Canonical bytes of plan objects (`hg1`): sorted keys, no white space, defaults left out."""

from typing import Final

import msgspec

from headgate.plan.kinds import Kind
from headgate.plan.middleware import Middleware
from headgate.plan.node import PlanNode
from headgate.plan.objects import Certificate, Host, Listener, Route, TlsPolicy, Upstream
from headgate.plan.settings import Settings

PlanObject = Settings | Listener | Host | Route | Middleware | Upstream | Certificate | TlsPolicy

OBJECTS: Final[dict[Kind, type[PlanObject]]] = {
    "settings": Settings,
    "listener": Listener,
    "host": Host,
    "route": Route,
    "middleware": Middleware,
    "upstream": Upstream,
    "certificate": Certificate,
    "tls_policy": TlsPolicy,
}


def _plain(value: object) -> str:
    """Encodes text that remembers its source like any other text."""
    if isinstance(value, str):
        return str(value)
    raise NotImplementedError(f"{type(value).__name__} is not part of a plan")


_ENCODER: Final = msgspec.json.Encoder(order="sorted", enc_hook=_plain)
_DECODERS: Final = {kind: msgspec.json.Decoder(node) for kind, node in OBJECTS.items()}


def encode(node: PlanNode) -> bytes:
    """Returns the canonical bytes of an object; about a microsecond."""
    return _ENCODER.encode(node)


def decode(kind: Kind, canonical: bytes) -> PlanObject:
    """Returns the object of that kind; raises `msgspec.ValidationError` for other bytes."""
    return _DECODERS[kind].decode(canonical)
