"""Checks for weak TLS."""

from collections.abc import Iterator
from typing import Final

from headgate.engines.nginx.lint.check import Found
from headgate.engines.nginx.lint.config import Config

_OLD: Final = ("SSLv2", "SSLv3", "TLSv1", "TLSv1.1")
_WEAK: Final = (
    "RC4",
    "MD5",
    "DES",
    "3DES",
    "NULL",
    "EXPORT",
    "EXP",
    "aNULL",
    "eNULL",
    "ADH",
    "LOW",
)


def weak_ssl_tls(config: Config) -> Iterator[Found]:
    """Finds protocols and ciphers that are broken."""
    for seen in config.named("ssl_protocols"):
        old = [word for word in seen.words if word in _OLD]
        if old:
            yield seen.located, f"{', '.join(old)} is broken (RFC 8996)"
    for seen in config.named("ssl_ciphers"):
        weak = sorted(_weak_in(seen.words[0])) if seen.words else []
        if weak:
            yield seen.located, f"{', '.join(weak)} among the ciphers"


def _weak_in(ciphers: str) -> set[str]:
    parts = [part for part in ciphers.split(":") if part]
    banned = {part[1:] for part in parts if part.startswith(("!", "-"))}
    offered = {word for part in parts if part[0] not in "!-" for word in part.split("-")}
    return {word for word in _WEAK if word in offered and word not in banned}


def ssl_stapling_without_resolver(config: Config) -> Iterator[Found]:
    """Finds stapling without a resolver: nginx cannot fetch OCSP answers."""
    for seen in config.named("ssl_stapling"):
        known = config.nearest(seen, "resolver") or config.nearest(seen, "ssl_stapling_file")
        if seen.words == ("on",) and not known:
            yield seen.located, "without `resolver` the OCSP responder's name is not resolved"
