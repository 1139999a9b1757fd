"""Reads `server`: its listeners, names and certificates, as far as routes can use them.

Every server has a frame, even if nothing of it can become model: its routes then refuse. A frame
depends on the other servers: which is the default of an address, and which has a name first.
"""

import posixpath
from collections.abc import Iterable, Mapping, Sequence, Set
from types import MappingProxyType
from typing import Final, NamedTuple

from headgate.engines.nginx.imports import listens, naming, realip, values
from headgate.engines.nginx.imports.around import Level, unknown_around
from headgate.engines.nginx.imports.effects import is_tls
from headgate.engines.nginx.imports.listens import Listen
from headgate.engines.nginx.imports.objects import NotExpressibleError, Table
from headgate.nginxtext.includes import Located

_NOT_FILES: Final = ("data:", "engine:", "store:")


class Pair(NamedTuple):
    """A certificate and its key, by absolute paths."""

    cert_file: str
    key_file: str


class Server(NamedTuple):
    """A server's frame.

    `written` are its names as written, `names` our patterns for them, `hosts` those of them that
    lead to it, by address. `defaults` are the addresses whose default server it is. `whys` says why
    nothing in it can become model, `client` the peers its listeners trust, `http2` whether the line
    `http2 on` applies to it.
    """

    located: Located
    lines: Level
    listens: tuple[Listen, ...]
    written: tuple[str, ...]
    names: tuple[str, ...]
    hosts: Mapping[str, tuple[str, ...]]
    pairs: tuple[Pair, ...]
    defaults: frozenset[str]
    rejects_unknown: bool
    whys: tuple[str, ...]
    client: Table = MappingProxyType({})
    http2: bool = False

    @property
    def addresses(self) -> list[str]:
        """The addresses it listens on, each once."""
        return list(dict.fromkeys(one.address for one in self.listens))


class _Read(NamedTuple):
    """The contents of the lines of one server, without regard to other servers.

    `patterns` are ours for each written name: `.a.example` has two.
    """

    located: Located
    lines: Level
    listens: tuple[Listen, ...]
    written: tuple[str, ...]
    patterns: tuple[tuple[str, ...], ...]
    odd: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Our patterns for its names, each once."""
        return tuple(dict.fromkeys(name for one in self.patterns for name in one))


def servers_of(
    blocks: Sequence[tuple[Located, Sequence[Located]]], http: Level, prefix: str
) -> tuple[list[Server], frozenset[str]]:
    """Returns the frames, and the addresses where unknown hosts may belong to a server with names
    that we cannot read. `prefix` is the base of relative paths.
    """
    read = [_read(located, lines) for located, lines in blocks]
    closed: dict[str, str] = {}
    ports: dict[str, str] = {}
    for one in read:
        for listen in one.listens:
            if listen.why:
                (closed if listen.is_address else ports)[
                    listen.address if listen.is_address else listen.port
                ] = listen.why
    defaults = _defaults([one.listens for one in read])
    around = unknown_around(http.lines)
    own: dict[int, set[str]] = {}
    for address, index in defaults.items():
        own.setdefault(index, set()).add(address)
    proxied = {listen.address for one in read for listen in one.listens if listen.is_proxied}
    taken: dict[str, set[str]] = {}
    unknown: set[str] = set()
    found = []
    for index, one in enumerate(read):
        usable = [listen for listen in one.listens if listen.is_address]
        at = frozenset(own.get(index, set()).intersection(listen.address for listen in usable))
        for listen in usable:
            if one.odd or ("" in one.written and listen.address not in at):
                unknown.add(listen.address)
        whys = [closed[n.address] for n in one.listens if n.address in closed]
        whys += [ports[n.port] for n in one.listens if n.port in ports]
        whys += [ports[""]] if "" in ports else []
        hosts = _hosts(one.patterns, usable, taken)
        found.append(_server(one, (hosts, at, usable, proxied), [*whys, *around], http, prefix))
    return found, frozenset(unknown)


def default_servers(servers: Iterable[Sequence[Located]]) -> set[int]:
    """Returns which of these servers, by their lines, are the default of some address."""
    return set(_defaults([_listens(Level(lines)) for lines in servers]).values())


def _defaults(servers: Iterable[Sequence[Listen]]) -> dict[str, int]:
    """Returns the index of the default server of each address:
    the one that says so, or the first.
    """
    first: dict[str, int] = {}
    said: dict[str, int] = {}
    for index, found in enumerate(servers):
        for one in found:
            first.setdefault(one.address, index)
            if one.is_default:
                said.setdefault(one.address, index)
    return first | said


def _listens(level: Level) -> tuple[Listen, ...]:
    every = [listens.listen_of(one) for one in level.named(b"listen")]
    if not every:
        return (Listen(listens.DEFAULT_ADDRESS, False, False, (), None),)
    return tuple(one for one in every if one is not None)


def _read(located: Located, lines: Iterable[Located]) -> _Read:
    level = Level(lines)
    written: list[str] = []
    patterns: list[tuple[str, ...]] = []
    odd: list[str] = []
    for value in (v for one in level.named(b"server_name") for v in one.directive.values):
        name = value.decode(errors="replace")
        written.append(name)
        try:
            patterns.append(naming.host_patterns(values.text(value)))
        except NotExpressibleError as error:
            odd.append(f"{error}: {name}")
    return _Read(located, level, _listens(level), tuple(written), tuple(patterns), tuple(odd))


def _hosts(
    names: Sequence[tuple[str, ...]], usable: Sequence[Listen], taken: dict[str, set[str]]
) -> dict[str, tuple[str, ...]]:
    """Returns the patterns that lead to a server, by address:
    of two servers with one name nginx takes the first.
    """
    found: dict[str, tuple[str, ...]] = {}
    for address in dict.fromkeys(one.address for one in usable):
        others = taken.setdefault(address, set())
        own = [patterns for patterns in names if naming.take_patterns(patterns, others)]
        found[address] = tuple(name for patterns in own for name in patterns)
    return found


def _server(
    one: _Read,
    at: tuple[dict[str, tuple[str, ...]], frozenset[str], Sequence[Listen], Set[str]],
    whys: Sequence[str],
    http: Level,
    prefix: str,
) -> Server:
    hosts, defaults, usable, proxied = at
    reasons = [*unknown_around(one.lines.lines, one.names), *whys]
    if not usable:
        reasons.append("it listens on no address that a listener can have")
    rejects = any(
        line.directive.values == (b"on",) for line in one.lines.named(b"ssl_reject_handshake")
    )
    pairs: tuple[Pair, ...] = ()
    if any(listen.tls for listen in usable):
        try:
            pairs = pairs_of(one.lines, http, prefix)
        except NotExpressibleError as error:
            reasons.append(str(error))
        else:
            if not pairs and not rejects:
                reasons.append("it listens with TLS and has no certificate")
    client: Table = {}
    try:
        client = realip.client_of(one.lines, http, {n.address in proxied for n in usable})
    except NotExpressibleError as error:
        reasons.append(str(error))
    if not one.names and not defaults:
        reasons.append("it has no name that we know and is nobody's default")
    elif not defaults and not any(hosts.values()):
        reasons.append("every name of it is an earlier server's")
    reasons += one.odd
    return Server(
        one.located,
        one.lines,
        tuple(usable),
        one.written,
        one.names,
        hosts,
        pairs,
        defaults,
        rejects,
        tuple(dict.fromkeys(reasons)),
        client,
        _has_http2(one.lines, http),
    )


def _has_http2(lines: Level, http: Level) -> bool:
    for level in (lines, http):
        if found := level.named(b"http2"):
            return found[0].directive.values == (b"on",)
    return False


def server_notes(server: Server) -> list[str]:
    """Returns how the model of a server differs."""
    notes = []
    if "proxy_protocol" in server.client:
        notes.append("proxy_protocol: connections of other peers than these are closed here")
    if "client_ip" in server.client:
        notes.append("real_ip: trusted peers are also believed about host and scheme here")
    kept = [one.directive.name.decode() for one in server.lines.lines if is_tls(one.directive.name)]
    if kept:
        notes.append(
            f"{', '.join(dict.fromkeys(kept))}: kept, listeners have a policy of their own"
        )
    return notes


def pairs_of(lines: Level, http: Level, prefix: str) -> tuple[Pair, ...]:
    """Returns the certificates that a server's lines, or those around it, name.

    Raises `NotExpressibleError`.
    """
    certs = _files(b"ssl_certificate", lines, http, prefix)
    keys = _files(b"ssl_certificate_key", lines, http, prefix)
    if len(certs) != len(keys):
        raise NotExpressibleError("certificates and keys do not pair")
    return tuple(Pair(cert, key) for cert, key in zip(certs, keys, strict=True))


def _files(name: bytes, lines: Level, http: Level, prefix: str) -> list[str]:
    for level in (lines, http):
        found = [one.directive.values for one in level.named(name)]
        if found:
            return [_file(words, prefix) for words in found]
    return []


def _file(words: Sequence[bytes], prefix: str) -> str:
    path = values.text(words[0]) if words else ""
    if not path or "$" in path or path.startswith(_NOT_FILES):
        raise NotExpressibleError("a certificate or key is not a file of a fixed name")
    return posixpath.join(prefix, path)
