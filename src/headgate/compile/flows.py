"""Explains which UDP route takes a client's datagrams, by the code that the data plane asks."""

from typing import Literal

import msgspec

from headgate._core import tcp_route
from headgate.compile.addressed import listener_at, server_name
from headgate.compile.byte_limit import byte_limits
from headgate.compile.explanation import (
    Condition,
    Explanation,
    Locate,
    Outcome,
    States,
    Won,
    share,
    shut,
)
from headgate.compile.routing import Question, Routing
from headgate.kernel.errors import Invalid
from headgate.kernel.units import Duration
from headgate.plan.udp import UdpRoute

_Key = Literal["client", "sni"]


def flow(
    routing: Routing, question: Question, locate: Locate, states: States | None = None
) -> Explanation:
    """Explains what becomes of the datagrams of a client.

    Raises `Invalid` when the question is not about a flow, `ValueError` for a client that is not an
    address.
    """
    listener = listener_at(question, "udp", routing.udp_listeners)
    routes = {
        str(key.name): entry.value
        for key, entry in routing.plan.objects.items()
        if isinstance(entry.value, UdpRoute) and listener in entry.value.listeners
    }
    routing.refused_certificate(question, routing.udp_listeners[listener], None, has_tls=False)
    sni = _server_name(question, any(one.sni for one in routes.values()))
    # The rules are those of TCP routes, without protocols.
    written = [(name, one.client, one.sni, (), False) for name, one in routes.items()]
    taken = tcp_route(written, question.client, sni)
    asked = Explanation(url=question.url, listener=listener, host=sni, client=question.client)
    if taken is None:
        why = "no UDP route of the listener takes it, so it is dropped (no-route)"
        return msgspec.structs.replace(asked, refused=why)
    won = _won(taken, routes[taken], routing, locate, states)
    end = "the datagrams are dropped (no-endpoint)"
    return msgspec.structs.replace(asked, won=shut(won, routing.plan, "udp_route", end))


def _server_name(question: Question, is_read: bool) -> str | None:
    """Returns the name that a QUIC client asks for; raises `Invalid` where none is read."""
    if question.alpn:
        raise Invalid("UDP routes do not choose by `alpn`", "leave it out", at=("alpn",))
    if question.sni is None:
        return None
    if not is_read:
        what = "no route of the listener has `sni`, so that datagrams pass unread"
        raise Invalid(what, "leave it out, or write `sni` in a route", at=("sni",))
    return server_name(question.sni)


def _won(
    name: str, route: UdpRoute, routing: Routing, locate: Locate, states: States | None
) -> Won:
    texts: dict[_Key, tuple[str, ...]] = {"client": route.client, "sni": route.sni}
    held = [
        Condition(key, key, f"{key} is {' or '.join(values)}", locate("udp_route", name, key))
        for key, values in texts.items()
        if values
    ]
    upstream = share(routing.plan, route.upstream, 1, locate, states)
    return Won(
        route=name,
        match=0,
        host="",
        prefix_len=0,
        held=held,
        outcome=Outcome("forward", detail=_passed(route)),
        place=locate("udp_route", name, ""),
        middlewares=byte_limits("udp_route", name, route.bandwidth, locate),
        upstreams=[msgspec.structs.replace(upstream, host="", protocol="udp")],
    )


def _passed(route: UdpRoute) -> str:
    """Says how datagrams are passed on, and when their flow ends."""
    to = "an endpoint chosen for each" if route.balance_by == "datagram" else "one endpoint"
    answers = f", or with {_counted(route.answers)} to each" if route.answers else ""
    idle = Duration(route.idle_ms)
    return f"passed on to {to}; the flow ends after {idle} without a datagram{answers}"


def _counted(answers: int) -> str:
    return "1 answer" if answers == 1 else f"{answers} answers"
