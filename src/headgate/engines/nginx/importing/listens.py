"""`listen`: the address, whether TLS is spoken, and what else stands there."""

from typing import Final, NamedTuple

from headgate.engines.nginx.importing import values
from headgate.engines.nginx.importing.objects import NotExpressibleError
from headgate.features import syntax
from headgate.kernel.errors import Invalid
from headgate.nginxtext.includes import Located
from headgate.nginxtext.tree import Argument, Directive

DEFAULT_ADDRESS: Final = "0.0.0.0:80"
"""What nginx listens on where nothing says so (as root)."""

_KEPT: Final = (
    "backlog=",
    "bind",
    "deferred",
    "fastopen=",
    "http2",
    "ipv6only=",
    "rcvbuf=",
    "reuseport",
    "setfib=",
    "sndbuf=",
    "so_keepalive=",
)
_DEFAULTS: Final = frozenset({"default_server", "default"})


class Listen(NamedTuple):
    """One `listen` line; `kept` are its words that stay verbatim, `place` is None for the one
    that nginx adds by itself."""

    address: str
    tls: bool
    is_default: bool
    kept: tuple[Argument, ...]
    place: Located | None


def listen_of(located: Located) -> Listen:
    """What a `listen` line says; raises `NotExpressibleError`."""
    line = located.directive
    if not line.args:
        raise NotExpressibleError("`listen` without an address")
    tls = is_default = False
    kept: list[Argument] = []
    for word in line.args[1:]:
        text = values.text(word.value)
        if text == "ssl":
            tls = True
            continue
        is_default = is_default or text in _DEFAULTS
        if text not in _DEFAULTS and not text.startswith(_KEPT):
            raise NotExpressibleError(f"`listen … {text}` has no counterpart")
        kept.append(word)
    return Listen(_address(values.text(line.values[0])), tls, is_default, tuple(kept), located)


def rough(line: Directive) -> Listen:
    """The same for a server that is kept verbatim: what is not understood counts as its text."""
    words = [value.decode(errors="replace") for value in line.values] or [""]
    try:
        address = _address(words[0])
    except NotExpressibleError:
        address = words[0]
    return Listen(address, "ssl" in words, not _DEFAULTS.isdisjoint(words), (), None)


def _address(text: str) -> str:
    """`80`, `*:80`, `192.0.2.1`, `[::]:80` … as address and port."""
    if text.startswith("unix:"):
        raise NotExpressibleError("`listen` on a Unix socket has no counterpart")
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
