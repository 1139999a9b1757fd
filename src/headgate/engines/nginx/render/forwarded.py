"""The headers that tell an upstream about the client, and the client headers that it never gets.

`X-Forwarded-*` and similar headers are accepted from trusted peers only. nginx cannot drop headers
by a name prefix, so this module lists the names that are in use.
"""

import re
from typing import Final

from headgate.engines.nginx.render import proxied
from headgate.engines.nginx.render.context import Context
from headgate.engines.nginx.render.prelude import mapped
from headgate.features.nginx import About, Shared, claim_variable, quoted, whole
from headgate.features.nginx_headers import Headers
from headgate.nginxtext.tree import Node
from headgate.nginxtext.writer import (
    Arg,
    Literal,
    Plain,
    Regex,
    Template,
    Var,
    Word,
    comment,
    directive,
)
from headgate.plan.objects import HostLiteral, Listener, Upstream

CLAIMS: Final = (
    "forwarded",
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    "client-cert",
    "client-cert-chain",
    "client-ip",
    "fastly-client-ip",
    "forwarded-for",
    "ssl-client-cert",
    "ssl-client-issuer-dn",
    "ssl-client-subject-dn",
    "ssl-client-verify",
    "true-client-ip",
    "x-amzn-mtls-clientcert",
    "x-amzn-mtls-clientcert-issuer",
    "x-amzn-mtls-clientcert-leaf",
    "x-amzn-mtls-clientcert-serial-number",
    "x-amzn-mtls-clientcert-subject",
    "x-amzn-mtls-clientcert-validity",
    "x-arr-clientcert",
    "x-client-cert",
    "x-client-cert-chain",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-envoy-external-address",
    "x-forwarded",
    "x-forwarded-access-token",
    "x-forwarded-by",
    "x-forwarded-client-cert",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-method",
    "x-forwarded-path",
    "x-forwarded-port",
    "x-forwarded-preferred-username",
    "x-forwarded-prefix",
    "x-forwarded-scheme",
    "x-forwarded-server",
    "x-forwarded-ssl",
    "x-forwarded-tls-client-cert",
    "x-forwarded-tls-client-cert-info",
    "x-forwarded-uri",
    "x-forwarded-user",
    "x-original-forwarded-for",
    "x-original-forwarded-host",
    "x-original-forwarded-proto",
    "x-ssl-client-cert",
    "x-ssl-client-cn",
    "x-ssl-client-dn",
    "x-ssl-client-fingerprint",
    "x-ssl-client-i-dn",
    "x-ssl-client-s-dn",
    "x-ssl-client-serial",
    "x-ssl-client-verify",
)
"""Headers that tell who a client is, of those that the core knows by the beginning of their name
(`is_client_claim`): deleted when the peer is not trusted. What a config names is added to them."""

_HOP: Final = (
    "http2-settings",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
)
"""Headers for one hop only; nginx drops the others by itself (RFC 9110 §7.6.1)."""

NOT_CLIENTS: Final = (*_HOP, "upgrade", "x-real-ip", *CLAIMS)
"""The headers that never go along with a client's other headers to a service that is asked."""

_NOTHING: Final = Literal("")
_NO_PEER: Final = "255.255.255.255"
_PEER: Final = Var("realip_remote_addr")
_REAL_IP: Final = {"x-forwarded-for": "X-Forwarded-For", "x-real-ip": "X-Real-IP"}
"""nginx's own words for these headers: it compares them with case, and of any other header it reads
the first line alone.
"""


def request_id(ctx: Context) -> Var:
    """Returns the variable of a request's id."""
    return Var("hg_request_id") if ctx.trusting else Var("request_id")


def maps(ctx: Context) -> list[Node]:
    """Returns the maps of client headers for trusted peers;
    where none is trusted, empty ones if needed.
    """
    asked = sorted(ctx.shared.claims)
    peer = proxied.peer(ctx)
    if not ctx.trusting:
        return [mapped(claim_variable(name).name, _NOTHING, _NOTHING) for name in asked]
    listener = Var("hg_listener")
    entries: list[tuple[Arg, Arg]] = []
    for name in ctx.trusting:
        networks = ctx.listeners[name].client_ip.trusted
        entries.append((whole(quoted(name)), ctx.shared.geo("trusted", _PEER, networks)))
    found: list[Node] = [
        comment("Whether the peer is trusted, and what is kept of what it told"),
        mapped("hg_trusted", listener, Word("0"), *entries),
        _kept("hg_request_id", "x-request-id", Var("request_id"), "[A-Za-z0-9_-]{1,32}"),
        mapped(
            "hg_forwarded_for",
            Template((Var("hg_trusted"), " ", Var("http_x_forwarded_for"))),
            peer,
            (Regex(r"~\A1 ."), Template((Var("http_x_forwarded_for"), ", ", peer))),
        ),
        _kept("hg_forwarded_proto", "x-forwarded-proto", Var("scheme")),
        _kept("hg_forwarded_host", "x-forwarded-host", Var("http_host")),
    ]
    claims = sorted({*CLAIMS, *asked})
    return [*found, *(_kept(claim_variable(name).name, name, _NOTHING) for name in claims)]


def _kept(variable: str, header: str, otherwise: Arg, pattern: str = ".+") -> Node:
    value = Var("http_" + header.replace("-", "_"))
    entry = (Regex(rf"~\A1 (?<hg_raw>{pattern})\z"), Var("hg_raw"))
    return mapped(variable, Template((Var("hg_trusted"), " ", value)), otherwise, entry)


def request_headers(ctx: Context) -> list[tuple[str, Arg]]:
    """Returns the header lines of every upstream request; nginx does not send an empty one."""
    trusting = bool(ctx.trusting)
    found: list[tuple[str, Arg]] = [
        ("host", Var("hg_host")),
        ("connection", Var("hg_connection")),
        ("upgrade", Var("hg_upgrade")),
        ("x-forwarded-for", Var("hg_forwarded_for") if trusting else proxied.peer(ctx)),
        ("x-forwarded-proto", Var("hg_forwarded_proto" if trusting else "scheme")),
        ("x-forwarded-host", Var("hg_forwarded_host" if trusting else "http_host")),
        ("x-real-ip", Var("remote_addr")),
        ("x-request-id", request_id(ctx)),
    ]
    found += [(name, _NOTHING) for name in _HOP]
    return found + [(name, claim_variable(name) if trusting else _NOTHING) for name in CLAIMS]


def host_header(upstream: Upstream, about: About) -> str | None:
    """Returns the Host that requests to an upstream have; None for what the client asked for."""
    if isinstance(upstream.host_header, HostLiteral):
        return upstream.host_header.literal
    if upstream.host_header != "endpoint":
        return None
    if len(upstream.endpoints) > 1:
        about.refuse("host_header", "nginx writes Host before it chooses an endpoint")
    address = upstream.endpoints[0].address
    return "localhost" if address.startswith("unix:") else address


def with_edits(
    base: list[tuple[str, Arg]], replaced: dict[str, Arg], edits: Headers, shared: Shared
) -> list[Node] | None:
    """Returns `proxy_set_header` of all lines with a chain's edits;
    None when they are the base's.

    An empty value drops a line: nginx then sends neither ours nor the client's.
    """
    if edits.is_empty and not replaced:
        return None
    folded = _as_clients_send(edits.drops)
    lines = [(name, replaced.get(name, value)) for name, value in base if name not in edits.drops]
    lines = [line for line in lines if not (line[0] in folded and line[0] in CLAIMS)]
    known = {name for name, _ in lines}
    added = {name for name, _ in edits.lines}
    gone = dict.fromkeys((*edits.drops, *folded))
    lines += [(name, _NOTHING) for name in gone if name not in added and name not in known]
    for name, value in edits.lines:
        if name not in gone and name not in known:
            # Beside what the client sent, which nginx would leave out otherwise.
            known.add(name)
            sent = shared.request_header(name)
            lines += [(name, sent)] if sent is not None else []
        lines.append((name, Template(value)))
    return [directive("proxy_set_header", Plain(name), value) for name, value in lines]


def _as_clients_send(names: list[str]) -> list[str]:
    """Returns names with hyphens for all other marks: nginx drops clients' lines with such marks,
    and a backend that does not tell marks apart takes the one with hyphens for the other.
    """
    return [re.sub("[^a-z0-9]", "-", name) for name in names]


def real_ip(ctx: Context, listener: Listener) -> list[Node]:
    """Returns how nginx finds the client's address behind trusted peers.

    A guest without such peers trusts an address that none has, instead of those of others.
    """
    if not listener.client_ip.trusted:
        is_guest = ctx.target.mode == "guest" and ctx.has("realip")
        return [directive("set_real_ip_from", Word(_NO_PEER))] if is_guest else []
    header = listener.client_ip.header or "x-forwarded-for"
    ranges = [directive("set_real_ip_from", Word(net)) for net in listener.client_ip.trusted]
    return [
        *ranges,
        directive("real_ip_header", Word(_REAL_IP.get(header, header))),
        directive("real_ip_recursive", Word("on")),
    ]
