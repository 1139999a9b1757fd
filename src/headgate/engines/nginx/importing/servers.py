"""`server`: its listeners, names and certificates, as far as routes can stand on them."""

import posixpath
from collections.abc import Sequence
from typing import Final, NamedTuple

from headgate.engines.nginx.importing import listens, naming, values
from headgate.engines.nginx.importing.around import check_kept_around
from headgate.engines.nginx.importing.effects import is_tls
from headgate.engines.nginx.importing.listens import Listen
from headgate.engines.nginx.importing.objects import NotExpressibleError
from headgate.nginxtext.includes import Located

_NOT_FILES: Final = ("data:", "engine:", "store:")


class Pair(NamedTuple):
    """A certificate and its key, by absolute paths."""

    cert_file: str
    key_file: str


class Server(NamedTuple):
    """A server whose own lines are all understood.

    `written` are its names as written, `names` our patterns for them; `defaults` the addresses it
    is the default server of.
    """

    located: Located
    lines: Sequence[Located]
    listens: tuple[Listen, ...]
    written: tuple[str, ...]
    names: tuple[str, ...]
    pairs: tuple[Pair, ...]
    defaults: frozenset[str]
    rejects_unknown: bool

    @property
    def is_tls(self) -> bool:
        """Whether it speaks TLS on some address."""
        return any(one.tls for one in self.listens)


def addresses_of(lines: Sequence[Located]) -> list[Listen]:
    """Where a server listens, understood or not."""
    found = [listens.rough(one.directive) for one in lines if one.directive.name == b"listen"]
    return found or [Listen(listens.DEFAULT_ADDRESS, False, False, (), None)]


def default_servers(servers: Sequence[Sequence[Located]]) -> dict[str, int]:
    """The index of the default server of each address: the one that says so, or the first."""
    first: dict[str, int] = {}
    said: dict[str, int] = {}
    for index, lines in enumerate(servers):
        for one in addresses_of(lines):
            first.setdefault(one.address, index)
            if one.is_default:
                said.setdefault(one.address, index)
    return first | said


def server_of(
    located: Located,
    lines: Sequence[Located],
    http: Sequence[Located],
    defaults: frozenset[str],
    prefix: str,
) -> Server:
    """A server as far as its own lines go; raises `NotExpressibleError`.

    `prefix` is the directory that relative paths are relative to.
    """
    check_kept_around(lines)
    found = [listens.listen_of(one) for one in lines if one.directive.name == b"listen"]
    if not found:
        found = [Listen(listens.DEFAULT_ADDRESS, False, False, (), None)]
    written = [
        values.text(value)
        for one in lines
        if one.directive.name == b"server_name"
        for value in one.directive.values
    ]
    names = list(dict.fromkeys(p for name in written for p in naming.host_patterns(name)))
    if not names and not defaults:
        raise NotExpressibleError("it has no name and is nobody's default")
    pairs = _pairs(lines, http, prefix) if any(one.tls for one in found) else ()
    rejects = any(
        one.directive.name == b"ssl_reject_handshake" and one.directive.values == (b"on",)
        for one in lines
    )
    if any(one.tls for one in found) and not pairs and not rejects:
        raise NotExpressibleError("it listens with TLS and has no certificate")
    return Server(
        located, lines, tuple(found), tuple(written), tuple(names), pairs, defaults, rejects
    )


def server_notes(server: Server) -> list[str]:
    """What of a server is different in the model."""
    notes = []
    if any(word.value == b"http2" for one in server.listens for word in one.kept):
        notes.append("HTTP/2 stays in the kept text: listeners speak HTTP/1.1")
    kept = [one.directive.name.decode() for one in server.lines if is_tls(one.directive.name)]
    if kept:
        notes.append(
            f"{', '.join(dict.fromkeys(kept))}: kept, listeners have a policy of their own"
        )
    return notes


def _pairs(lines: Sequence[Located], http: Sequence[Located], prefix: str) -> tuple[Pair, ...]:
    certs = _files(b"ssl_certificate", lines, http, prefix)
    keys = _files(b"ssl_certificate_key", lines, http, prefix)
    if len(certs) != len(keys):
        raise NotExpressibleError("certificates and keys do not pair")
    return tuple(Pair(cert, key) for cert, key in zip(certs, keys, strict=True))


def _files(
    name: bytes, lines: Sequence[Located], http: Sequence[Located], prefix: str
) -> list[str]:
    for level in (lines, http):
        found = [one.directive.values for one in level if one.directive.name == name]
        if found:
            return [_file(words, prefix) for words in found]
    return []


def _file(words: Sequence[bytes], prefix: str) -> str:
    path = values.text(words[0]) if words else ""
    if not path or "$" in path or path.startswith(_NOT_FILES):
        raise NotExpressibleError("a certificate or key is not a file of a fixed name")
    return posixpath.join(prefix, path)
