"""Limits of requests in nginx: a zone in `http` for each limit, and the directives of a location.

nginx counts after it has rewritten, and before it forwards: what answers by itself is not counted.
A location has one status for all its limits, and one answer to whether they are tried out only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Literal

from headgate.features.nginx import HEADER_ALLOWED, About, Shared, merged
from headgate.features.nginx_cookie_values import cookie_value
from headgate.nginxtext import writer
from headgate.nginxtext.tree import Node
from headgate.nginxtext.writer import Regex, Template, Var, Word, directive

STATUS: Final = 429
"""The one status of limits for which nginx has our answer."""

Kind = Literal["limit_req", "limit_conn"]

_SLOT_BYTES: Final = 128
"""The bytes that a key of usual length takes in a zone of nginx."""
_LEAST_KIB: Final = 32
_IPV6_BYTES: Final = 16
_BYTE: Final = 8
_PART: Final = Var("hg_part")
_LONGEST: Final = 190
"""The bytes of values in a key of `limit_conn`, beside a client's address: nginx counts no request
whose key has more than 255, and writes the key into its error log.
"""


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit of a location: the directive's words, and what all of a location must agree in."""

    about: About
    kind: Kind
    words: tuple[str, ...]
    dry_run: bool
    retry_after_s: int


@dataclass(frozen=True, slots=True)
class Zone:
    """The key that a limit counts by, and the number of keys that it has room for."""

    key: tuple[str, ...]
    ipv6_prefix: int
    max_keys: int


def burst(requests: int, at_once: int) -> tuple[str, ...]:
    """Returns the words of `limit_req` that let so many requests of a key pass, those above
    `at_once` after a wait.

    nginx counts those beyond the first, and refuses `burst=0` and `delay=0`.
    """
    if requests == 1:
        return ()
    words = (f"burst={requests - 1}",)
    if at_once >= requests:
        return (*words, "nodelay")
    return (*words, f"delay={at_once - 1}") if at_once > 1 else words


def zone(kind: Kind, of: Zone, shared: Shared, about: About, route: str, more: str = "") -> str:
    """Declares the zone of a limit; returns its name.

    `more` is the last word of the declaration.
    """
    parts: list[str | Var] = [f"{len(of.key)}"]
    for part in of.key:
        value = _value(part, of.ipv6_prefix, shared, about, route)
        if kind == "limit_conn" and part != "client_ip":
            value = _cut(value, _LONGEST // len(of.key), shared)
        if value is not None:
            parts += ["\n", value]
    key = Template(merged(parts), lines=True)
    size = max(-(-of.max_keys * _SLOT_BYTES // 1024), _LEAST_KIB)
    words = (Word(more),) if more else ()
    owner = f"{about.kind} {about.name} {about.within}"
    return shared.zone(f"{kind}_zone", key, owner, f"{size}k", words)


def _cut(value: str | Var | None, most: int, shared: Shared) -> str | Var | None:
    """Returns the end of a value, so many bytes of it: values with one end are counted together,
    which limits more, never less.
    """
    if isinstance(value, Var):
        entry = (Regex(rf"~(?s)\A.+(?<hg_part>.{{{most}}})\z"), _PART)
        return shared.judged("limit_part", value, (entry,), value, gave_up=writer.Literal("long"))
    if value is not None and len(value.encode()) > most:
        return sha256(value.encode()).hexdigest()[:most]
    return value


def _value(part: str, prefix: int, shared: Shared, about: About, route: str) -> str | Var | None:
    """Returns one part of a key; None, refusing it, for what nginx has no variable for."""
    plain: dict[str, str | Var] = {"host": Var("host"), "path": Var("hg_path"), "route": route}
    if part in plain:
        return plain[part]
    if part == "client_ip":
        return _client(prefix, shared, about)
    source, _, name = part.partition(":")
    if source == "header":
        variable = shared.header_value(name)
        if variable is None:
            about.refuse("key", HEADER_ALLOWED)
        return variable
    if source == "jwt":
        about.refuse("key", "nginx verifies no tokens, so it has no claims to count by")
        return None
    if source == "cookie":
        return cookie_value(name, shared)
    before = "/[^/]*" * (int(name) - 1)
    entry = (Regex(rf"~\A{before}/(?<hg_part>[^/]*)"), _PART)
    return shared.map(f"segment_{name}", Var("hg_path"), (entry,), writer.Literal(""))


def _client(prefix: int, shared: Shared, about: About) -> Var | None:
    """Returns the client's address, of IPv6 the first bits.

    An IPv4 address that is mapped into IPv6 is the IPv4 address.
    """
    if prefix % _BYTE:
        about.refuse("ipv6_prefix", "nginx tells IPv6 clients apart by whole bytes: 8, 16 … 128")
        return None
    kept = prefix // _BYTE
    rest = _IPV6_BYTES - kept
    mapped = Regex(r"~(?s)\A\x00{10}\xff\xff(?<hg_part>.{4})\z")
    first = Regex(rf"~(?s)\A(?<hg_part>.{{{kept}}}).{{{rest}}}\z")
    # Longer than an address of IPv4, so that none is the same key.
    of_ipv6 = Template(("ipv6 ", _PART))
    address = Var("binary_remote_addr")
    return shared.map(f"client_{prefix}", address, ((mapped, _PART), (first, of_ipv6)), address)


def directives(limits: Sequence[Limit], base: Sequence[Node] = ()) -> list[Node]:
    """Returns the directives of a location with these limits.

    `base` are the `limit_conn` lines that the location would inherit without any of its own.
    """
    nodes: list[Node] = []
    for kind in ("limit_req", "limit_conn"):
        own = [one for one in limits if one.kind == kind]
        if not own:
            continue
        if kind == "limit_conn":
            nodes += base
        nodes += [directive(kind, *map(Word, one.words)) for one in own]
        nodes.append(directive(f"{kind}_status", Word(str(STATUS))))
        if own[0].dry_run:
            nodes.append(directive(f"{kind}_dry_run", Word("on")))
            if kind == "limit_conn" and base:
                message = "nginx would only try out `node.limits.connections_per_client` there, too"
                own[0].about.refuse("dry_run", message)
        for one in own[1:]:
            if one.dry_run != own[0].dry_run:
                one.about.refuse("dry_run", "nginx tries out all limits of a route, or none")
    if limits:
        again = str(max(one.retry_after_s for one in limits))
        nodes.append(directive("set", Var("hg_retry"), Word(again)))
    return nodes
