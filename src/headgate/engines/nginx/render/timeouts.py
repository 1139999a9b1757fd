"""Renders times and sizes of proxying: defaults for `http`, and differences for a location."""

from typing import Final

from headgate.engines.nginx.render import kept
from headgate.engines.nginx.render.context import Context
from headgate.engines.nginx.render.upstreams import FOREVER_MS, time
from headgate.features.nginx_chain import collecting
from headgate.nginxtext.tree import Node
from headgate.nginxtext.writer import Word, directive
from headgate.plan.objects import Route, RouteTimeouts, Upstream

_ROUTE: Final = RouteTimeouts()
_UPSTREAM: Final = Upstream(())
_BUFFERS: Final = 4


def base() -> list[Node]:
    """Returns the defaults of routes and upstreams."""
    return [
        directive("proxy_connect_timeout", time(_UPSTREAM.connect_timeout_ms)),
        *_idle(_ROUTE.stream_idle_ms),
        directive("client_body_timeout", time(_body_ms(_ROUTE))),
        directive("proxy_read_timeout", time(_ROUTE.stream_idle_ms)),
        *buffers(_UPSTREAM.head_bytes),
    ]


def route(name: str, one: Route, target: Upstream, is_paced: bool, ctx: Context) -> list[Node]:
    """Returns what differs from the defaults on the way from a route to an upstream.

    `is_paced`: whether other lines hold its answers back, for which nginx collects them already.
    """
    nodes: list[Node] = []
    about = ctx.findings.of("route", name, "timeouts")
    wanted = one.timeouts
    if wanted.request_ms:
        about.refuse("request", "nginx has no limit for a whole request")
    if target.connect_timeout_ms != _UPSTREAM.connect_timeout_ms:
        nodes.append(directive("proxy_connect_timeout", time(target.connect_timeout_ms)))
    if wanted.stream_idle_ms != _ROUTE.stream_idle_ms:
        nodes += _idle(wanted.stream_idle_ms)
    if _body_ms(wanted) != _body_ms(_ROUTE):
        nodes.append(directive("client_body_timeout", time(_body_ms(wanted))))
    if one.body_buffer_bytes:
        nodes += kept.collecting(one.body_buffer_bytes)
    limits = ctx.findings.of("route", name, "limits")
    if wanted.body_rate != _ROUTE.body_rate:
        limits.note(
            "body_rate", "nginx knows no rate: a body may come as slowly as `timeouts.body` lets it"
        )
    if one.response_buffer_bytes:
        limits.note("response_buffer", "nginx fills a buffer before it sends: events come late")
        nodes += [] if is_paced else collecting()
    read = _read_ms(wanted)
    if read != _ROUTE.stream_idle_ms:
        nodes.append(directive("proxy_read_timeout", time(read)))
    if read < (wanted.stream_idle_ms or FOREVER_MS):
        about.note(
            "first_byte",
            f"nginx has one time for the first byte and between two: {time(read).text} is both",
        )
    if wanted.per_try_ms:
        about.note("per_try", "nginx counts it anew with every read")
    if target.head_bytes != _UPSTREAM.head_bytes or one.response_buffer_bytes:
        nodes += buffers(target.head_bytes, one.response_buffer_bytes)
    return nodes


def _read_ms(wanted: RouteTimeouts) -> int:
    """Returns how long nginx waits for the upstream: for its first byte and between two.

    It does not apply the default for the first byte: a cut after a minute would break quiet
    connections, WebSockets above all.
    """
    idle = wanted.stream_idle_ms or FOREVER_MS
    first = wanted.first_byte_ms or FOREVER_MS
    if wanted.first_byte_ms == _ROUTE.first_byte_ms and first < idle:
        first = idle
    return min(idle, first, wanted.per_try_ms or FOREVER_MS)


def _idle(ms: int) -> list[Node]:
    return [directive(word, time(ms)) for word in ("proxy_send_timeout", "send_timeout")]


def _body_ms(wanted: RouteTimeouts) -> int:
    """Returns how long nginx waits between two reads of a request body."""
    return min(wanted.body_ms or FOREVER_MS, wanted.stream_idle_ms or FOREVER_MS)


def buffers(head_bytes: int, collected_bytes: int = 0) -> list[Node]:
    """Returns the room for the head of an answer, and for what is collected of its body, bytes."""
    size = Word(str(head_bytes))
    number = max(_BUFFERS, -(-collected_bytes // head_bytes))
    return [
        directive("proxy_buffer_size", size),
        directive("proxy_buffers", Word(str(number)), size),
        directive("proxy_busy_buffers_size", Word(str(2 * head_bytes))),
    ]
