"""Renders `mirror` of a route: background requests of nginx to other upstreams.

Each goes to a location of its own, whose name no client can ask for, as those that ask services
(`asking`); the same first line of the server leads it there. It shares the values of variables with
the request, so it sets none.
"""

from collections.abc import Mapping
from typing import Final

from headgate.engines.nginx.render import forwarded, lua, names, upstreams
from headgate.engines.nginx.render.context import Context
from headgate.features.nginx import About
from headgate.nginxtext.tree import Node
from headgate.nginxtext.writer import (
    Arg,
    Literal,
    MapKey,
    Plain,
    Regex,
    Template,
    Var,
    Word,
    directive,
    if_,
)
from headgate.plan.objects import Mirror, Upstream

MARK: Final = "x-headgate-mirror"
_ALL: Final = 10_000
_MOST: Final = Mirror("").in_flight
_SALT: Final = "mirror"
_NOTHING: Final = Literal("")
_OVER: Final = directive("return", Word("204"))
_FAULTS: Final = ("500", "502", "503", "504")


def lines(ctx: Context, mirrors: Mapping[int, Mirror], place: str, about: About) -> list[Node]:
    """Returns what the route's own location says of its mirrors, which have numbers from 1; refuses
    what this nginx cannot.
    """
    if not ctx.has("mirror"):
        about.refuse("", "this nginx has no `mirror`")
    for number, mirror in mirrors.items():
        if mirror.in_flight != _MOST:
            at = f"[{number - 1}].max_in_flight"
            about.refuse(at, "nginx has no limit for background requests")
    about.note(
        "",
        "nginx draws by chance, reads the whole body of every request first, reads nothing of the "
        "answer but its head, counts nothing, and has no limit for copies under way; the next "
        "request on a connection over HTTP/1 waits until the copies have ended",
    )
    return [
        *(directive("mirror", Plain(names.mirror(place, number))) for number in mirrors),
        directive("mirror_request_body", Word("on")),
    ]


def beside(
    ctx: Context, mirror: Mirror, at: tuple[str, int], sent: list[Node] | None, url: Template
) -> list[tuple[str, list[Node]]]:
    """Returns the locations that send the copy; `at` are the place of the route's location and the
    number of the mirror, `sent` its header lines.
    """
    target = ctx.upstreams.get(mirror.upstream)
    if target is None or not upstreams.is_usable(target, ctx):
        return [(names.mirror(*at), [directive("internal"), _OVER])]
    over = names.mirrored(*at)
    nodes = [
        directive("internal"),
        *_gates(ctx, mirror, at[1]),
        directive("client_max_body_size", Word("0")),
        *(sent or []),
        *_times(mirror, target),
        # Faults of a copy get no page: that would set what the log says of the request.
        directive("error_page", *map(Word, _FAULTS), Word("="), Word(over)),
        *upstreams.tls(target, mirror.upstream, ctx),
        *(lua.unavailable() if lua.is_dynamic(target, ctx) else []),
        directive("proxy_pass", url),
    ]
    return [(names.mirror(*at), nodes), (over, [_OVER])]


def replaced(ctx: Context, mirror: Mirror, host: Arg | None) -> dict[str, Arg]:
    """Returns the header lines of a copy that are not those of the request; `host` is that of a
    rewrite."""
    found: dict[str, Arg] = {"connection": _NOTHING, "upgrade": _NOTHING}
    target = ctx.upstreams.get(mirror.upstream)
    if host is None and target is not None:
        fixed = forwarded.host_header(target, ctx.findings.of("upstream", mirror.upstream))
        host = Literal(fixed) if fixed is not None else None
    return found | ({"host": host} if host is not None else {})


def _times(mirror: Mirror, target: Upstream) -> list[Node]:
    limit = upstreams.time(mirror.timeout_ms)
    connect = min(mirror.timeout_ms, target.connect_timeout_ms or mirror.timeout_ms)
    return [
        directive("proxy_connect_timeout", upstreams.time(connect)),
        directive("proxy_send_timeout", limit),
        directive("proxy_read_timeout", limit),
        directive("proxy_next_upstream_timeout", limit),
    ]


def _gates(ctx: Context, mirror: Mirror, number: int) -> list[Node]:
    """Returns what ends a copy before it is sent."""
    gates = [if_(Var("http_upgrade"), "!=", _NOTHING, children=[_OVER])]
    if mirror.share < _ALL:
        # Not the id alone, by which splits choose: a mirror would see one branch only. Nor what
        # another mirror draws by: both would get the same requests.
        salt = _SALT if number == 1 else f"{_SALT}{number}"
        source = Template((Var("request_id"), salt))
        share = f"{mirror.share // 100}.{mirror.share % 100:02}%"
        drawn = ctx.shared.split("mirror", source, [(share, Literal("1")), ("*", _NOTHING)])
        gates.append(if_(drawn, "=", _NOTHING, children=[_OVER]))
    one = Literal("1")
    entries: list[tuple[Arg, Arg]] = [
        (MapKey(""), one),
        (Regex(f"~^(?:{at_most(mirror.body_bytes)})$"), one),
    ]
    small = ctx.shared.map("mirrored_body", Var("content_length"), entries, _NOTHING)
    return [*gates, if_(small, "=", _NOTHING, children=[_OVER])]


def at_most(most: int) -> str:
    """Returns an expression for the whole numbers from 0 to this one, without leading zeros."""
    digits = str(most)
    found = [f"[1-9][0-9]{{{n - 1}}}" if n > 1 else "[0-9]" for n in range(1, len(digits))]
    for at, digit in enumerate(digits):
        low = 1 if at == 0 and len(digits) > 1 else 0
        if int(digit) > low:
            rest = len(digits) - at - 1
            found.append(f"{digits[:at]}[{low}-{int(digit) - 1}]" + "[0-9]" * rest)
    return "|".join([*found, digits])
