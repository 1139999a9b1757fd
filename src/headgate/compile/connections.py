"""Explains which TCP route takes a connection, by the code that the data plane asks."""

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
    UpstreamShare,
    Won,
    share,
    shut,
    stuck,
)
from headgate.compile.routing import Question, Routing
from headgate.compile.tcp import ends_tls
from headgate.kernel.ids import ObjectName
from headgate.plan.kinds import ObjectKey
from headgate.plan.objects import SplitPart, Upstream
from headgate.plan.plan import Plan
from headgate.plan.tcp import TcpRoute

_Key = Literal["client", "sni", "alpn"]


def connection(
    routing: Routing, question: Question, locate: Locate, states: States | None = None
) -> Explanation:
    """Explains what becomes of a connection.

    Raises `Invalid` when the question is not about one, `ValueError` for a client that is not an
    address.
    """
    listener = listener_at(question, "tcp", routing.tcp_listeners)
    routes = {
        str(key.name): entry.value
        for key, entry in routing.plan.objects.items()
        if key.kind == "tcp_route"
        and isinstance(entry.value, TcpRoute)
        and listener in entry.value.listeners
    }
    sni = server_name(question.sni) if question.sni is not None else None
    heard = routing.tcp_listeners[listener]
    is_http = heard.protocol == "http"
    if is_http and heard.tls is not None and (question.sni is not None or question.alpn):
        # What no name and no protocol takes stays with HTTP.
        routes = {name: one for name, one in routes.items() if one.sni or one.alpn}
    terminating = not is_http and heard.tls is not None
    ended = {name: ends_tls(one, heard) for name, one in routes.items()}
    written = [(n, one.client, one.sni, one.alpn, ended[n]) for n, one in routes.items()]
    asked = Explanation(url=question.url, listener=listener, host=sni, client=question.client)
    offered = question.alpn
    taken = tcp_route(written, question.client, sni, offered)
    passes = taken is not None and not ended[taken]
    if terminating and not passes:
        offered, said, why = _handshake(routing, question, listener, sni)
        if why:
            return msgspec.structs.replace(asked, refused=why)
        taken = tcp_route(written, question.client, sni, offered, True)
    else:
        routing.refused_certificate(question, heard, sni, has_tls=False)
        said = "TLS passes through unopened" if terminating else ""
    if taken is None:
        why = "no TCP route of the listener takes it, so it is reset (no-route)"
        if is_http and heard.tls is not None and (sni is not None or offered):
            why = "no TCP route has its name or protocol, so it is one of HTTP: ask for https://"
        return msgspec.structs.replace(asked, refused=why)
    won = _won(taken, routes[taken], routing, locate, states)
    if said:
        outcome = Outcome("forward", detail=said)
        won = msgspec.structs.replace(won, outcome=outcome)
    end = "the connection is reset (no-endpoint)"
    return msgspec.structs.replace(asked, won=shut(won, routing.plan, "tcp_route", end))


def _handshake(
    routing: Routing, question: Question, listener: str, sni: str | None
) -> tuple[list[str], str, str]:
    """Returns the protocol that the TLS of a listener agrees on with the client, what is said of
    it, and why it fails; empty if it does not."""
    offered, said = question.alpn, "TLS ends here"
    match routing.handshake(listener, sni, offered):
        case ("agreed", agreed):
            offered = [agreed] if agreed else []
            said += f", agreed on {agreed}" if agreed else ""
        case (failed, _):
            return [], "", _failed(failed, sni)
    heard = routing.tcp_listeners[listener]
    refusal = routing.refused_certificate(question, heard, sni, has_tls=True)
    why = "" if refusal is None else refusal.detail
    return offered, f"{said}; what is inside is passed on", why


def _failed(want: Literal["name", "protocol"], sni: str | None) -> str:
    """Returns why a handshake fails."""
    if want == "protocol":
        return "the TLS handshake fails: the listener offers none of these protocols (ALPN)"
    what = f'the name "{sni}"' if sni else "clients that send no name"
    return f"the TLS handshake fails: no certificate for {what}"


def _won(
    name: str, route: TcpRoute, routing: Routing, locate: Locate, states: States | None
) -> Won:
    texts: dict[_Key, tuple[str, ...]] = {
        "client": route.client,
        "sni": route.sni,
        "alpn": route.alpn,
    }
    held = [
        Condition(key, key, f"{key} is {' or '.join(values)}", locate("tcp_route", name, key))
        for key, values in texts.items()
        if values
    ]
    return Won(
        route=name,
        match=0,
        host="",
        prefix_len=0,
        held=held,
        outcome=Outcome("forward"),
        place=locate("tcp_route", name, ""),
        upstreams=[_share(routing.plan, part, locate, states) for part in route.parts],
        sticky=stuck(route.sticky) if route.sticky is not None else "",
        sticky_place=locate("tcp_route", name, "sticky") if route.sticky is not None else "",
        middlewares=byte_limits("tcp_route", name, route.bandwidth, locate),
    )


def _share(plan: Plan, part: SplitPart, locate: Locate, states: States | None) -> UpstreamShare:
    upstream = share(plan, part.upstream, part.weight, locate, states)
    target = plan.objects[ObjectKey("upstream", ObjectName(part.upstream))].value
    has_tls = isinstance(target, Upstream) and target.tls is not None
    spoken = "tcp with TLS" if has_tls else "tcp"
    return msgspec.structs.replace(upstream, host="", protocol=spoken)
