"""Converts `allow` and `deny` to `ip_access`, and back.

nginx asks its rules in their order and takes the first that fits; `ip_access` asks `deny` and then
`allow`. Where the order means something else the networks are computed.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from headgate.engines.nginx.imports import networks, values
from headgate.engines.nginx.imports.headers import middleware
from headgate.engines.nginx.imports.networks import Network
from headgate.engines.nginx.imports.objects import Table, items_in
from headgate.nginxtext.includes import Located
from headgate.nginxtext.tree import Directive
from headgate.nginxtext.writer import Plain, Word, directive

KIND: Final = "ip_access"
DENIED: Final = 403
NAMES: Final = frozenset({"allow", "deny"})

_ALL: Final = "all"


class Rule(NamedTuple):
    """One `allow` or `deny`; the network as it was written, without bits beyond its mask."""

    allows: bool
    network: Network
    text: str


class Access(NamedTuple):
    """The clients that are let in: none of `denied`, and of the rest all or `allowed` alone.

    `computed` says that these are other networks than the ones written.
    """

    allowed: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    computed: bool = False

    @property
    def is_closed(self) -> bool:
        """True if it lets no client in."""
        return not self.allowed and not self.denied

    def to_model(self) -> Table:
        """Returns the middleware."""
        lists = {"allow": self.allowed, "deny": self.denied}
        return {KIND: {key: list(found) for key, found in lists.items() if found}}


def access_of(lines: Sequence[Located]) -> Access | None:
    """Returns what the lines in effect say; None if they let everybody in.

    Raises `NotExpressibleError` for what is no network of ours.
    """
    rules: list[Rule] = []
    otherwise = True
    has_ipv4 = False
    for _, line in lines:
        allows = line.name == b"allow"
        value = values.text(line.values[0])
        if value == _ALL:
            otherwise, has_ipv4 = allows, True
            break
        rules.append(_rule(allows, value))
        has_ipv4 = has_ipv4 or rules[-1].network.version == networks.IPV4
    if not has_ipv4:
        networks.check_unmapped(rule.network for rule in rules)
    while rules and rules[-1].allows == otherwise:
        rules.pop()
    return _reduced(rules, otherwise=otherwise)


def _rule(allows: bool, text: str) -> Rule:
    network = networks.network_of(text)
    plain = text if networks.is_exact(text) else str(network)
    return Rule(allows, network, plain)


def _reduced(rules: Sequence[Rule], *, otherwise: bool) -> Access | None:
    """Returns the rules as two lists; the last of them is not what counts `otherwise`."""
    if not rules:
        return None if otherwise else Access()
    first = next(at for at, rule in enumerate(rules) if rule.allows is not otherwise)
    before, rest = rules[:first], rules[first:]
    if all(rule.allows is not otherwise for rule in rest):
        if otherwise and not before:
            return Access(denied=_texts(rest))
        if not otherwise:
            return Access(allowed=_texts(rest), denied=_texts(before))
    found = networks.first_of(
        [(rule.allows is not otherwise, rule.network) for rule in rules],
    )
    texts = tuple(map(str, found))
    if not texts:
        return None if otherwise else Access()
    return Access(denied=texts, computed=True) if otherwise else Access(texts, computed=True)


def _texts(rules: Sequence[Rule]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(rule.text for rule in rules))


def notes_of(found: Access | None, *, adds_headers: bool) -> tuple[str, ...]:
    """Returns what differs for clients that are not let in."""
    if found is None:
        return ()
    notes = ["`allow`, `deny`: the page of the answer 403 is ours"]
    if adds_headers:
        notes.append("`add_header`: the answer 403 to clients that are not let in has none here")
    if found.computed:
        count = len(found.allowed) + len(found.denied)
        notes.append(f"`allow`, `deny` in turns became {count} networks")
    return tuple(notes)


def to_nginx(route: Table) -> list[Directive]:
    """Returns the lines of a route's `ip_access`; the inverse of `access_of`."""
    table = middleware(route, KIND)
    allowed = [str(one) for one in items_in(table, "allow")]
    lines = [directive("deny", Plain(str(one))) for one in items_in(table, "deny")]
    lines += [directive("allow", Plain(one)) for one in allowed]
    return [*lines, directive("deny", Word(_ALL))] if allowed else lines
