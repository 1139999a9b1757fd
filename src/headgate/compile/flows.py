"""Explains which UDP route takes a client's datagrams, by the code that the data plane asks."""

import msgspec

from headgate._core import tcp_route
from headgate.compile.addressed import listener_at
from headgate.compile.explanation import (
    Condition,
    Explanation,
    Locate,
    Outcome,
    States,
    Won,
    share,
)
from headgate.compile.routing import Question, Routing
from headgate.kernel.errors import Invalid
from headgate.kernel.units import Duration
from headgate.plan.udp import UdpRoute


def flow(
    routing: Routing, question: Question, locate: Locate, states: States | None = None
) -> Explanation:
    """Explains what becomes of the datagrams of a client.

    Raises `Invalid` when the question is not about a flow, `ValueError` for a client that is not an
    address.
    """
    listener = listener_at(question, "udp", routing.udp_listeners)
    if question.sni is not None or question.alpn:
        allowed = "leave it out, or ask for a connection (tcp://)"
        raise Invalid("datagrams are passed on unread: they have no name", allowed, at=("sni",))
    routes = {
        str(key.name): entry.value
        for key, entry in routing.plan.objects.items()
        if isinstance(entry.value, UdpRoute) and listener in entry.value.listeners
    }
    # The rules are those of TCP routes, without what a ClientHello says.
    written = [(name, one.client, (), (), False) for name, one in routes.items()]
    taken = tcp_route(written, question.client)
    asked = Explanation(url=question.url, listener=listener, client=question.client)
    if taken is None:
        why = "no UDP route of the listener takes it, so it is dropped (no-route)"
        return msgspec.structs.replace(asked, refused=why)
    won = _won(taken, routes[taken], routing, locate, states)
    return msgspec.structs.replace(asked, won=won)


def _won(
    name: str, route: UdpRoute, routing: Routing, locate: Locate, states: States | None
) -> Won:
    held = []
    if route.client:
        text = f"client is {' or '.join(route.client)}"
        held = [Condition("client", "client", text, locate("udp_route", name, "client"))]
    upstream = share(routing.plan, route.upstream, 1, locate, states)
    return Won(
        route=name,
        match=0,
        host="",
        prefix_len=0,
        held=held,
        outcome=Outcome("forward", detail=_passed(route)),
        place=locate("udp_route", name, ""),
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
