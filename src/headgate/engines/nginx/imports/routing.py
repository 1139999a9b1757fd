"""Converts locations, and a server's own `return`, to routes."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from headgate.engines.nginx.imports import (
    access,
    accesslogs,
    buffering,
    compression,
    contents,
    errorpages,
    expiring,
    headers,
    limits,
    matching,
    mirrors,
    pacing,
    passwords,
    proxies,
    retries,
    returns,
    secured,
    services,
    splits,
)
from headgate.engines.nginx.imports.around import Around
from headgate.engines.nginx.imports.contents import Content
from headgate.engines.nginx.imports.matching import Matched, Wanted
from headgate.engines.nginx.imports.objects import (
    ModelObject,
    NotExpressibleError,
    Table,
    Toml,
    collected,
    table_in,
    validated,
)
from headgate.engines.nginx.imports.passwords import Asked
from headgate.engines.nginx.imports.proxies import Pools
from headgate.engines.nginx.imports.servers import Server
from headgate.nginxtext.includes import Located


class Routed(NamedTuple):
    """The common parts of the routes of a location: the wanted location, the matches, the rest of
    the table, what it uses, the differences from nginx, and the middlewares by name.
    """

    wanted: Wanted
    matched: Matched
    table: Table
    content: Content
    notes: tuple[str, ...] = ()
    named: Mapping[str, Table] = MappingProxyType({})


class Attachment(NamedTuple):
    """A set of hosts and the listeners they are served on."""

    hosts: Sequence[str]
    listeners: Sequence[str]
    suffix: str = ""


def attachments(
    server: Server, listeners: Mapping[str, str], unknown: frozenset[str]
) -> list[Attachment]:
    """Returns where the routes of a server attach; `listeners` are names by address.

    A default server also takes unknown hosts, except on the addresses in `unknown`. Where it does
    so on some of its addresses only, those hosts are routes of their own.
    """
    groups: dict[tuple[str, ...], list[str]] = {}
    for address in server.addresses:
        groups.setdefault(server.hosts[address], []).append(address)
    found: list[Attachment] = []
    for hosts, addresses in groups.items():
        number = f"-{len(found) + 1}" if found else ""
        rest = [one for one in addresses if one in server.defaults and one not in unknown]
        if len(rest) == len(addresses):
            found.append(Attachment([*hosts, "*"], _named(addresses, listeners), number))
            continue
        if hosts:
            found.append(Attachment(list(hosts), _named(addresses, listeners), number))
        if rest:
            suffix = f"{number}-default" if hosts else number
            found.append(Attachment(["*"], _named(rest, listeners), suffix))
    return found


def _named(addresses: Iterable[str], listeners: Mapping[str, str]) -> list[str]:
    return [listeners[address] for address in addresses]


def route_location(
    located: Located, lines: Sequence[Located], around: Around, server: Server, pools: Pools
) -> Routed:
    """Returns the routes of a location; raises `NotExpressibleError` with every obstacle."""
    whys: list[str] = []
    wanted = collected(whys, lambda: matching.wanted(located.directive))
    own = collected(whys, lambda: contents.content_of(located, lines, around))
    if wanted is None or own is None:
        raise NotExpressibleError("; ".join(whys))
    check_included(located, lines, own)
    passes = any(one.directive.name.endswith(b"_pass") for one in lines)
    matched = matching.match_of(wanted, around.siblings, proxied=passes, ranked=around.ranked)
    if own.proxy_pass is not None:
        limited = limits.limits_of(around)
        asked = _asked(own, around, pools)
        said = services.said_to(around, asked)
        found = proxies.proxied(own.proxy_pass.directive, around, wanted, pools, said)
        middlewares = _chain(own, [*limited.tables], asked, found.middlewares, around)
        paged = errorpages.pages_of(around)
        middlewares += [paged] if paged is not None else []
        copied = mirrors.mirror_of(around, pools, said, found.rest)
        rest = {**services.judged(found.rest, asked), **copied, **accesslogs.switch(around)}
        table = {"middlewares": middlewares, **rest} if middlewares else rest
        notes = (*_proxy_notes(own, around), *_charset_notes(around), *limited.notes)
        notes += buffering.notes_of(found.rest)
        notes += (*splits.notes_of(found.rest), *services.notes_of(asked, found.rest))
        tables = pools.tables_of(splits.upstreams_of(found.rest))
        notes += tuple(secured.notes_of(around)) if any("tls" in one for one in tables) else ()
        notes += (*retries.notes_of(found.rest, tables), *errorpages.notes_of(paged, around))
        notes += (*mirrors.notes_of(copied), *pacing.notes_of(own.pace))
        notes += (*expiring.notes_of(table, around), *accesslogs.notes_of(around))
        named = {one.name: one.table for one in asked}
        return Routed(wanted, matched, table, own, notes, {**limited.tables, **named})
    path = wanted.path if wanted.is_exact else ""
    action = _action(own, around, server, path)
    table = {**_added(around, action), **action, **accesslogs.switch(around)}
    notes = (
        *_answer_notes(action),
        *returns.type_notes(action, around, path),
        *_charset_notes(around),
        *expiring.notes_of(table, around),
    )
    return Routed(wanted, matched, table, own, notes=notes)


def _asked(own: Content, around: Around, pools: Pools) -> list[Asked]:
    """Returns who decides beside addresses: a file of users or a service."""
    service = services.service_of(around, pools)
    if own.asked is not None and service is not None:
        raise NotExpressibleError("`auth_basic` beside `auth_request` has no counterpart")
    return [one for one in (own.asked, service) if one is not None]


def _chain(
    own: Content,
    limited: Sequence[Toml],
    asked: Sequence[Asked],
    edits: Sequence[Toml],
    around: Around,
) -> list[Toml]:
    """Returns the middlewares in the order in which nginx asks: limits, addresses, then others.

    An answer of 401 has the headers of the location, so that these come before who gives it.
    """
    chain: list[Toml] = [*limited]
    if own.let_in is not None:
        returns.check_error_pages(str(access.DENIED), around)
        chain.append(own.let_in.to_model())
    rest = list(edits)
    if asked:
        # What is hidden of an endpoint's answer stands behind `expires`.
        before = rest[: rest.index(own.fresh)] if own.fresh is not None else rest
        answers = [one for one in before if isinstance(one, Mapping) and "response_headers" in one]
        rest = [one for one in rest if one not in answers]
        chain += [*answers, *(one.name for one in asked)]
    chain += rest
    return [*chain, *(one for one in (own.compress, own.pace) if one is not None)]


def _action(own: Content, around: Around, server: Server, path: str) -> dict[str, Toml]:
    if own.returned is not None:
        return returns.action_of(own.returned.directive, around, server.written, path)
    returns.check_error_pages(str(own.status), around)
    return {"respond": {"status": own.status}}


def route_server(line: Located, around: Around, server: Server, priority: int) -> dict[str, Toml]:
    """Returns the route of a server's own `return`; raises `NotExpressibleError`."""
    action = returns.action_of(line.directive, around, server.written)
    own = accesslogs.switch(around)
    return {"priority": priority, **_added(around, action), **action, **own}


def built(
    name: str, attached: Attachment, match: Sequence[Table], table: Table, priority: int = 0
) -> ModelObject:
    """Returns a route, validated; raises `NotExpressibleError`."""
    head: dict[str, Toml] = {"hosts": attached.hosts, "listeners": attached.listeners}
    if match:
        head["match"] = list(match)
    if priority:
        head["priority"] = priority
    return validated(ModelObject("routes", f"{name}{attached.suffix}", {**head, **table}))


def redirect_to_slash(path: str, table: Table) -> Table:
    """Returns nginx's answer to a directory without its slash, with the location's headers."""
    chain = headers.added_to_own(table)
    found: dict[str, Toml] = {"redirect": {"status": 301, "path": f"{path}/"}}
    if accesslogs.KEY in table:
        found[accesslogs.KEY] = table[accesslogs.KEY]
    return {"middlewares": chain, **found} if chain else found


def check_included(block: Located, lines: Sequence[Located], own: Content) -> None:
    """Raises `NotExpressibleError` where a block includes lines of
    which only some would be kept.
    """
    others = [one for one in lines if one.file != block.file]
    kept = [one for one in others if own.is_kept(one.directive)]
    if kept and (len(kept) < len(others) or not own.keeps_includes):
        name = kept[0].directive.name.decode(errors="replace")
        raise NotExpressibleError(f"it includes `{name}` ({kept[0].file}), which is kept")


def _added(around: Around, action: Table) -> dict[str, Toml]:
    """Returns the middlewares for an answer of our own."""
    (kind,) = action
    status = int(str(table_in(action, kind)["status"]))
    fresh = expiring.of_answer(around, status)
    chain = headers.answered(headers.added(around, status), (), fresh)
    return {"middlewares": chain} if chain else {}


def _charset_notes(around: Around) -> tuple[str, ...]:
    if around.value(b"charset", b"off") == b"off":
        return ()
    return ("`charset`: no character set is added to Content-Type here",)


def _answer_notes(action: Table) -> tuple[str, ...]:
    if "respond" in action and "body" not in table_in(action, "respond"):
        return ("the body of this answer is nginx's error page there and empty here",)
    return ()


def _proxy_notes(own: Content, around: Around) -> tuple[str, ...]:
    notes = []
    if around.value(b"proxy_redirect", b"default") != b"off":
        notes.append("`Location` headers that name the upstream are not rewritten here")
    times = {around.value(name, b"60s") for name in (b"proxy_read_timeout", b"proxy_send_timeout")}
    if len(times) > 1 and around.nearest(b"proxy_send_timeout"):
        notes.append("`proxy_send_timeout`: what is sent has the time of `proxy_read_timeout` here")
    lines = around.nearest(b"proxy_set_header")
    sent = {one.directive.values[0].lower().decode() for one in lines if one.directive.args}
    more = [name for name in headers.IMPLIED if name not in sent]
    if more:
        notes.append(f"{', '.join(more)}: set for the endpoint here, not there")
    adds_headers = bool(around.nearest(b"add_header"))
    notes += access.notes_of(own.let_in, adds_headers=adds_headers)
    notes += passwords.notes_of(own.asked)
    notes += compression.notes_of(own.compress, around)
    return tuple(notes)
