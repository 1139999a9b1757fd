"""The listeners at which a proxy accepts connections, and their certificates."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsConfig:
    """TLS of a listener: a certificate for clients whose name has none of its own.

    `Proxy` makes the certificate object that this one names; certificates of hosts are in
    `certificates` and `hosts` of the config (docs/reference/tls.md).
    """

    certificate: Path
    """A PEM file: the certificate, then its chain."""
    key: Path
    """A PEM file that not every user may read."""
    policy: str | None = None
    """A name in `tls_policies`; None is the built-in policy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """An address on which connections are accepted.

    >>> Listener(address="127.0.0.1:0").to_config()
    {'address': '127.0.0.1:0', 'default': True}
    """

    address: str = "127.0.0.1:0"
    """IP address and port; port 0 is a free one, which `Proxy.address` tells."""
    default: bool = True
    """True if routes that name no listener belong to this one."""
    tls: TlsConfig | None = None
    more: Mapping[str, object] = field(default_factory=dict)
    """Other keys of a listener (docs/reference/config.md)."""

    def to_config(self) -> dict[str, object]:
        """Returns the table of the listener, without `tls`."""
        return {"address": self.address, "default": self.default} | dict(self.more)
