"""Reads `listen`: the address, whether it speaks TLS, and the other parameters."""

from typing import Final, NamedTuple

from headgate.engines.nginx.imports import values
from headgate.engines.nginx.imports.objects import NotExpressibleError
from headgate.features import syntax
from headgate.kernel.errors import Invalid
from headgate.nginxtext.includes import Located
from headgate.nginxtext.tree import Argument

DEFAULT_ADDRESS: Final = "0.0.0.0:80"
"""nginx's default address (as root)."""

_KEPT: Final = (
    "backlog=",
    "bind",
    "deferred",
    "fastopen=",
    "http2",
    "ipv6only=on",
    "proxy_protocol",
    "rcvbuf=",
    "reuseport",
    "setfib=",
    "sndbuf=",
    "so_keepalive=",
)
_DEFAULTS: Final = frozenset({"default_server", "default"})
_QUIC: Final = "quic"
_UDP: Final = "udp"


class Listen(NamedTuple):
    """One `listen` line; `kept` are its words that stay verbatim, `place` is None for the one
    that nginx adds by itself.

    `why` says why no server on the address can become model; `address` is the text as written where
    it is not an address of ours (`is_address`).
    """

    address: str
    tls: bool
    is_default: bool
    kept: tuple[Argument, ...]
    place: Located | None
    why: str = ""
    is_address: bool = True

    @property
    def http2(self) -> bool:
        """True if it says `http2`, which holds for every server on the address."""
        return any(word.value == b"http2" for word in self.kept)

    @property
    def is_proxied(self) -> bool:
        """True if it says `proxy_protocol`, which holds for every server on the address."""
        return any(word.value == b"proxy_protocol" for word in self.kept)

    @property
    def is_udp(self) -> bool:
        """True if it is about datagrams, whose ports are separate from those of TCP."""
        return any(word.value == b"udp" for word in self.kept)

    @property
    def port(self) -> str:
        """The port; empty where unknown."""
        _, colon, port = self.address.rpartition(":")
        if port.isdigit():
            return port
        return "" if colon or "$" in port or port[:1].isdigit() else "80"


def listen_of(located: Located, *, of_stream: bool = False) -> Listen | None:
    """Parses a `listen` line; None for QUIC, which our listeners do not speak."""
    line = located.directive
    words = [value.decode(errors="replace") for value in line.values] or [""]
    is_default = not _DEFAULTS.isdisjoint(words[1:])
    if words[0].startswith("unix:"):
        return Listen(words[0], False, is_default, (), located, is_address=False)
    if _QUIC in words[1:]:
        return None
    whys = [f"`listen … {word}` has no counterpart" for word in words[1:] if not _is_known(word)]
    if of_stream and _UDP in words[1:]:
        whys.remove(f"`listen … {_UDP}` has no counterpart")
    kept = tuple(word for word in line.args[1:] if word.value != b"ssl")
    try:
        address, is_address = _address(values.text(line.values[0]) if line.args else ""), True
    except NotExpressibleError as error:
        address, is_address = words[0], False
        whys.append(str(error))
    why = "; ".join(whys)
    return Listen(address, "ssl" in words[1:], is_default, kept, located, why, is_address)


def _is_known(word: str) -> bool:
    return word == "ssl" or word in _DEFAULTS or word.startswith(_KEPT)


def _address(text: str) -> str:
    """Parses `80`, `*:80`, `192.0.2.1`, `[::]:80` … into address and port."""
    host, colon, port = text.rpartition(":")
    if text.isdigit():
        host, port = "0.0.0.0", text  # noqa: S104 - what nginx means by a bare port
    elif not colon or text.endswith("]"):
        host, port = text, "80"
    host = "0.0.0.0" if host == "*" else host  # noqa: S104 - likewise
    try:
        return syntax.listen_address(f"{host}:{port}")
    except Invalid as error:
        raise NotExpressibleError(f"listen: {error.what}") from None
