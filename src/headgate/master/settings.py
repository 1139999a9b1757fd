"""The settings of the `headgate master` command, checked."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headgate.master.store.errors import StartError

LISTEN: Final = "127.0.0.1:8080"
AGENTS_LISTEN: Final = "127.0.0.1:8443"
AUDIT_DAYS: Final = 400
_MOST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Address:
    """The address that a server listens on."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """True if only this host reaches it."""
        return ipaddress.ip_address(self.host).is_loopback

    def __str__(self) -> str:
        """Returns it as a URL writes it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Tls:
    """The certificate of the REST port and its key."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a master."""

    directory: Path
    database_url: str
    listen: Address
    tls: Tls | None
    master_key: str | None = None
    """The master's key from the environment; None: a file of the directory."""
    agents_listen: Address | None = None
    """The address for agents' gRPC streams; None: there is none."""
    names: tuple[str, ...] = ()
    """Host names and addresses by which agents reach the master."""
    has_fleet_tls: bool = False
    """True if the REST port shows a certificate of the fleet's CA."""
    audit_days: int = AUDIT_DAYS
    """The time that lines of the audit log are kept, in days."""
    metrics_listen: Address | None = None
    """The address where the master's own metrics are served; None: nowhere."""

    new_password: str = ""
    """The name of a user who gets a link by which to choose another password; empty: nobody."""

    @property
    def has_tls(self) -> bool:
        """True if the REST port speaks TLS."""
        return self.tls is not None or self.has_fleet_tls


def address(text: str) -> Address:
    """Returns the address that `text` names, `host:port`; raises StartError.

    >>> str(address("127.0.0.1:8080")), str(address("[::1]:0"))
    ('127.0.0.1:8080', '[::1]:0')
    """
    host, _, port = text.rpartition(":")
    try:
        found = Address(str(ipaddress.ip_address(host.strip("[]"))), int(port))
    except ValueError:
        found = None
    if found is None or not 0 <= found.port <= _MOST_PORT:
        raise StartError(
            f'"{text}" is not an address to listen on; write an IP address and a port, such as'
            f" {LISTEN}"
        )
    return found


def checked(settings: Settings) -> Settings:
    """Returns the settings; raises StartError for what would not be safe or cannot work."""
    if settings.tls is not None and settings.has_fleet_tls:
        raise StartError(
            "the REST port shows one certificate only; give --fleet-tls, or --tls-cert and"
            " --tls-key"
        )
    if not settings.has_tls and not settings.listen.is_loopback:
        raise StartError(
            f"{settings.listen} can be reached from other hosts and needs TLS; give --tls-cert"
            " and --tls-key, or --fleet-tls, or listen on a loopback address"
        )
    metrics = settings.metrics_listen
    if metrics is not None and not metrics.is_loopback and not settings.has_tls:
        raise StartError(
            f"{metrics} can be reached from other hosts, and the metrics need TLS there; give"
            " --tls-cert and --tls-key, or --fleet-tls, or let --metrics-listen name a loopback"
            " address"
        )
    for file in () if settings.tls is None else (settings.tls.certificate, settings.tls.key):
        try:
            file.read_bytes()
        except OSError as error:
            raise StartError(
                f"{file} cannot be read: {error.strerror}; name a readable PEM file"
            ) from error
    return settings
