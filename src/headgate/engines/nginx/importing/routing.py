"""Locations, and a server's own `return`, as routes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from headgate.engines.nginx.importing import effects, headers, matching, proxies, returns
from headgate.engines.nginx.importing.around import Around
from headgate.engines.nginx.importing.matching import Matched, Wanted
from headgate.engines.nginx.importing.objects import (
    ModelObject,
    NotExpressibleError,
    Table,
    Toml,
    table_in,
    validated,
)
from headgate.engines.nginx.importing.proxies import Pools
from headgate.engines.nginx.importing.servers import Server
from headgate.nginxtext.includes import Located, is_include
from headgate.nginxtext.tree import Directive


class Routed(NamedTuple):
    """What the routes of a location have in common: what it wants, what it matches by, the rest of
    the table, and what differs from nginx."""

    wanted: Wanted
    matched: Matched
    table: Table
    notes: tuple[str, ...] = ()


class Attachment(NamedTuple):
    """A set of hosts and the listeners they are served on."""

    hosts: Sequence[str]
    listeners: Sequence[str]
    suffix: str = ""


def attachments(
    server: Server, listeners: Mapping[str, str], unknown: frozenset[str]
) -> list[Attachment]:
    """Where the routes of a server are attached; `listeners` are names by address.

    A default server also takes the hosts that nobody has, but on the addresses in `unknown`. Where
    it does so on some of its addresses only, those hosts are routes of their own.
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
    """The routes of a location; raises `NotExpressibleError`."""
    wanted = matching.wanted(located.directive)
    pass_line, return_line = _own(lines)
    if return_line is not None:
        action = returns.action_of(return_line.directive, around, server.written)
        matched = matching.match_of(wanted, around.siblings, proxied=False, ranked=around.ranked)
        table: Table = {**_added(around, action), **action}
        return Routed(wanted, matched, table, _answer_notes(action))
    if pass_line is None:
        raise NotExpressibleError("it serves files")
    matched = matching.match_of(wanted, around.siblings, proxied=True, ranked=around.ranked)
    found = proxies.proxied(pass_line.directive, around, wanted, pools)
    table = {"middlewares": found.middlewares, **found.rest} if found.middlewares else found.rest
    return Routed(wanted, matched, table, _proxy_notes(around))


def route_server(line: Located, around: Around, server: Server, priority: int) -> dict[str, Toml]:
    """The route of a server's own `return`; raises `NotExpressibleError`."""
    action = returns.action_of(line.directive, around, server.written)
    return {"priority": priority, **_added(around, action), **action}


def built(
    name: str, attached: Attachment, match: Sequence[Table], table: Table, priority: int = 0
) -> ModelObject:
    """A route, as the model takes it; raises `NotExpressibleError`."""
    head: dict[str, Toml] = {"hosts": attached.hosts, "listeners": attached.listeners}
    if match:
        head["match"] = list(match)
    if priority:
        head["priority"] = priority
    return validated(ModelObject("routes", f"{name}{attached.suffix}", {**head, **table}))


def redirect_to_slash(path: str, table: Table) -> Table:
    """nginx's answer to a directory without its slash, with the headers that the location adds."""
    added = table_in(headers.middleware(table, "response_headers"), "add")
    found: dict[str, Toml] = {"redirect": {"status": 301, "path": f"{path}/"}}
    return {"middlewares": [{"response_headers": {"add": added}}], **found} if added else found


def is_kept(line: Directive) -> bool:
    """Whether a line of a location stays verbatim beside its route."""
    return effects.is_kept_in_location(line.name.decode(errors="replace"))


def _own(lines: Sequence[Located]) -> tuple[Located | None, Located | None]:
    """`proxy_pass` and `return` of a location; refuses everything that is not understood."""
    own: dict[bytes, Located] = {}
    unknown: dict[str, None] = {}
    for located in lines:
        line = located.directive
        name = line.name.decode(errors="replace")
        if name in effects.LOCATION_OWN and line.name not in own:
            own[line.name] = located
        elif name not in effects.FOLDED and not is_kept(line):
            unknown[f"`{name}` has no counterpart"] = None
    if unknown:
        raise NotExpressibleError("; ".join(unknown))
    return own.get(b"proxy_pass"), own.get(b"return")


def check_included(block: Directive, lines: Sequence[Located], file: str) -> None:
    """Raises `NotExpressibleError` where a block includes lines that would have to be kept."""
    if not any(is_include(one) for one in block.directives()):
        return
    for located in lines:
        if located.file != file and is_kept(located.directive):
            name = located.directive.name.decode(errors="replace")
            raise NotExpressibleError(f"it includes `{name}` ({located.file}), which is kept")


def _added(around: Around, action: Table) -> dict[str, Toml]:
    """Headers that are added to an answer of our own."""
    (kind,) = action
    table = headers.added(around, int(str(table_in(action, kind)["status"])))
    return {"middlewares": [{"response_headers": {"add": table}}]} if table else {}


def _answer_notes(action: Table) -> tuple[str, ...]:
    if "respond" in action and "body" not in table_in(action, "respond"):
        return ("the body of this answer is nginx's error page there and empty here",)
    return ()


def _proxy_notes(around: Around) -> tuple[str, ...]:
    notes = []
    if around.value(b"proxy_redirect", b"default") != b"off":
        notes.append("`Location` headers that name the upstream are not rewritten here")
    lines = around.nearest(b"proxy_set_header")
    sent = {one.directive.values[0].lower().decode() for one in lines if one.directive.args}
    more = [name for name in headers.IMPLIED if name not in sent]
    if more:
        notes.append(f"{', '.join(more)}: set for the endpoint here, not there")
    if around.nearest(b"error_page"):
        notes.append("error pages for answers that nginx makes itself stay in the kept text")
    if any(level.has_any(b"gzip") for level in around.levels):
        notes.append("compression stays in the kept text")
    return tuple(notes)
