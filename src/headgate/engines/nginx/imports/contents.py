"""Reads what a location does with a request: proxies it, or answers outright."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from headgate.engines.nginx.imports import (
    access,
    accesslogs,
    compression,
    effects,
    expiring,
    matching,
    pacing,
    passwords,
    returns,
)
from headgate.engines.nginx.imports.access import Access
from headgate.engines.nginx.imports.around import Around, Level
from headgate.engines.nginx.imports.objects import NotExpressibleError, Table
from headgate.engines.nginx.imports.passwords import Asked
from headgate.nginxtext.includes import Located, is_include
from headgate.nginxtext.tree import Directive

INTERNAL: Final = 404
"""nginx's answer to a request from outside for an internal location."""

ACCELERATED: Final = (
    "`internal`: where an endpoint answers with `X-Accel-Redirect`, nginx serves such a place in "
    "place of the answer; here the client gets the answer, with that header"
)
_LEADING: Final = (b"auth_request", b"mirror", b"error_page")

_OF_ANSWERS: Final = frozenset({"add_header", "default_type"})


class Content(NamedTuple):
    """The lines that say what a location does, or the `status` it answers with by itself.

    `let_in` are the clients it proxies for, None = everybody; `asked` is who is asked for a
    password, None = nobody; `compress` the middleware that does it, None = none, `pace` the one
    that holds answers back, `fresh` the one that says how long caches may use them. `own` are the
    names of the lines that become part of the route, None = those that do not stay in any route.
    `silenced` are lines of its own file that turn its log off.
    """

    proxy_pass: Located | None = None
    returned: Located | None = None
    status: int = 0
    let_in: Access | None = None
    asked: Asked | None = None
    compress: Table | None = None
    pace: Table | None = None
    fresh: Table | None = None
    own: frozenset[str] | None = None
    keeps_includes: bool = False
    silenced: tuple[Directive, ...] = ()

    def is_kept(self, line: Directive) -> bool:
        """Reports whether a line of the location stays verbatim beside the route."""
        name = line.name.decode(errors="replace")
        if is_include(line):
            return self.keeps_includes
        if any(line is one for one in self.silenced):
            return False
        if _does_nothing(line) or name in effects.ASKING | effects.PAGES:
            return True
        if self.own is not None:
            return name not in self.own
        for names, part in (
            (access.NAMES, self.let_in),
            (passwords.NAMES, self.asked),
            (compression.NAMES, self.compress),
            (pacing.NAMES, self.pace),
            (expiring.NAMES, self.fresh),
        ):
            if name in names:
                return part is None
        return effects.is_kept_in_location(name)


def accelerated(
    blocks: Sequence[Located], insides: Sequence[Level], around: Sequence[Level]
) -> list[Located]:
    """Returns the internal locations of a server that answers of its endpoints may lead to: neither
    a subrequest nor an error page does. `insides` are the lines of its locations, `around` the
    levels that these stand in.
    """
    if not any(one.named(b"proxy_pass") for one in insides):
        return []
    levels = (*insides, *around)
    lines = (line.directive for one in levels for name in _LEADING for line in one.named(name))
    led = {line.values[-1] for line in lines}
    return [
        block
        for block, inside in zip(blocks, insides, strict=True)
        if inside.named(b"internal") and matching.split(block.directive)[1] not in led
    ]


def _does_nothing(line: Directive) -> bool:
    return effects.is_plain_set(line) or effects.is_inert(line)


def content_of(block: Located, lines: Sequence[Located], around: Around) -> Content:
    """Returns what a location does; raises `NotExpressibleError` with everything it cannot read."""
    found = _content(lines, around)._replace(silenced=accesslogs.silenced(lines, block.file))
    others = [one.directive for one in lines if one.file != block.file]
    return found._replace(keeps_includes=bool(others) and all(map(found.is_kept, others)))


def _content(lines: Sequence[Located], around: Around) -> Content:
    first: dict[bytes, Located] = {}
    for one in lines:
        first.setdefault(one.directive.name, one)
    if b"internal" in first:
        _check_behind(lines, "internal", is_denied=False)
        return Content(status=INTERNAL, own=_OF_ANSWERS - {"default_type"})
    if b"return" in first:
        _check_behind(lines, "return", is_denied=False)
        line = first[b"return"]
        fresh = expiring.of_answer(around, returns.status_of(line.directive))
        own = _OF_ANSWERS | {"return"} | (frozenset() if fresh is None else expiring.NAMES)
        return Content(returned=line, own=own)
    let_in = access.access_of(around.access())
    if let_in is not None and let_in.is_closed:
        _check_behind(lines, "deny", is_denied=True)
        return Content(status=access.DENIED, own=_OF_ANSWERS | {"allow", "deny"})
    _check_known(lines)
    if b"proxy_pass" not in first:
        raise NotExpressibleError("it serves files")
    return Content(
        first[b"proxy_pass"],
        let_in=let_in,
        asked=passwords.asked_of(around),
        compress=compression.compress_of(around),
        pace=pacing.pace_of(around),
        fresh=expiring.expires_of(around),
    )


def _check_behind(lines: Sequence[Located], own: str, *, is_denied: bool) -> None:
    unknown = {
        name: None
        for name in (_name(one) for one in lines if not _does_nothing(one.directive))
        if name != own and name not in _OF_ANSWERS | expiring.NAMES
        if not effects.is_behind(name, is_denied=is_denied)
    }
    _check_none(unknown)


def _check_known(lines: Sequence[Located]) -> None:
    unknown: dict[str, None] = {}
    seen: set[str] = set()
    for one in lines:
        name = _name(one)
        if _does_nothing(one.directive):
            continue
        if name in effects.ASKING or name in effects.PAGES:
            continue
        is_first = name not in seen
        seen.add(name)
        if name in effects.LOCATION_OWN and is_first:
            continue
        if name not in effects.FOLDED and not effects.is_kept_in_location(name):
            unknown[name] = None
    _check_none(unknown)


def _name(line: Located) -> str:
    return line.directive.name.decode(errors="replace")


def _check_none(unknown: dict[str, None]) -> None:
    if unknown:
        raise NotExpressibleError("; ".join(f"`{name}` has no counterpart" for name in unknown))
