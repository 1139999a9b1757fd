"""Renders TLS that ends at TCP listeners: certificates by name, one policy, what logs say of it.

nginx has one server for a listener of `stream`, so that all its names share a policy. Variables
choose the certificate; where there is none for a name the handshake fails, as it is to.
"""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

import msgspec

from headgate.engines.nginx.common.types import ServedName
from headgate.engines.nginx.render import tcp_pairs, tls, upstreams
from headgate.engines.nginx.render.context import Context
from headgate.engines.nginx.render.prelude import mapped
from headgate.engines.nginx.render.tlsnames import ANY, Offer, Offers, leaf, map_key, offers
from headgate.features.nginx import About, Shared, quoted, whole
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
)
from headgate.plan.objects import Listener, TlsPolicy

NAME: Final = Var("ssl_server_name")
"""The name that a client asks for, once TLS with it has begun."""

_NEEDED: Final = "stream_listen_ssl"
_ALPN: Final = "stream_ssl_alpn"
_NOBODY: Final = Literal("")
_OFFER: Final = "hg_offer"


class Ended(NamedTuple):
    """The needs of a listener: directives of its server, the variable of the certificates that a
    client gets (empty for none), and the files of certificates with what is in them.
    """

    directives: list[Node]
    offer: Var
    pairs: dict[str, list[Node]]


def is_ended(listener: Listener) -> bool:
    """Reports whether the TLS of a listener's clients ends there."""
    return listener.tls is not None


def words(listener: Listener) -> list[Word]:
    """Returns the options of its `listen` lines."""
    return [Word("ssl")] if is_ended(listener) else []


def check(ctx: Context, name: str, listener: Listener, about: About) -> None:
    """Refuses what nginx cannot do for a listener that ends TLS; notes what differs."""
    if listener.tls is None:
        return
    if not ctx.has(_NEEDED):
        about.refuse("tls", "`stream` of this nginx ends no TLS")
        return
    offered = offers(listener.tls, ctx)
    policy = tls.policy_of(ctx, Offer(offered.negotiated))
    if policy.alpn and not ctx.has(_ALPN):
        about.refuse("tls.policy", "its `alpn`: `stream` of this nginx has no ssl_alpn")
    _policies(ctx, name, offered, policy)
    for certificate in _certificates(offered):
        if ctx.certificates[certificate].ocsp is not None:
            to = ctx.findings.of("certificate", certificate)
            to.note("ocsp_file", "nginx staples no response on TCP listeners")
    about.note(
        "tls",
        "nginx ends a connection with TLS of the client as soon as one side has ended its half",
    )


def _policies(ctx: Context, name: str, offered: Offers, first: TlsPolicy) -> None:
    """Refuses policies that differ by name, by each key that does."""
    for policy in sorted({one.policy for one in _every(offered) if one.certificates}):
        other = tls.policy_of(ctx, Offer(policy))
        for key in msgspec.structs.fields(TlsPolicy):
            if getattr(other, key.name) != getattr(first, key.name):
                about = ctx.findings.of("tls_policy", policy)
                about.refuse(key.name, f"nginx has one {key.name} for all names of listener {name}")


def _every(offered: Offers) -> list[Offer]:
    return [*offered.by_name.values(), offered.none, offered.unknown]


def _certificates(offered: Offers) -> list[str]:
    return sorted({name for one in _every(offered) for name in one.certificates})


def render(ctx: Context, listener: Listener) -> Ended | None:
    """Returns what a listener needs; None where no TLS ends."""
    if listener.tls is None:
        return None
    offered = offers(listener.tls, ctx)
    every = list(dict.fromkeys(_every(offered)))
    offer = _chosen(offered, ctx.shared)
    nodes: list[Node] = []
    for at in range(max(len(one.certificates) for one in every)):
        chosen = [_at(one, at) for one in every if one.certificates]
        certificates = [(key, pair.certificate) for key, pair in chosen]
        keys = [(key, pair.key) for key, pair in chosen]
        of = {"ssl_certificate": certificates, "ssl_certificate_key": keys}
        for name, entries in of.items():
            variable = ctx.shared.map(name, offer, entries, _NOBODY)
            nodes.append(directive(name, Template(("data:", variable))))
    handshake = upstreams.time(listener.handshake_timeout_ms)
    nodes += tls.terms(ctx, Offer(offered.negotiated), is_alone=True)
    nodes += [*_protocols(ctx, offered), directive("ssl_handshake_timeout", handshake)]
    return Ended(nodes, offer, dict(tcp_pairs.write(ctx, name) for name in _certificates(offered)))


def _label(offer: Offer) -> str:
    return " ".join(offer.certificates)


def _at(offer: Offer, at: int) -> tuple[Arg, tcp_pairs.PairVariables]:
    """Returns the n-th certificate of an offer; nginx loads as many for every name, so the last one
    stands for those that are missing.
    """
    names = offer.certificates
    return whole(quoted(_label(offer))), tcp_pairs.variables(names[min(at, len(names) - 1)])


def _chosen(offered: Offers, shared: Shared) -> Var:
    """Returns the variable of the label of what a client is offered."""
    names = (offered.by_name.keys() | set(offered.apart)) - {ANY}
    entries = [
        (map_key(name, offered), Literal(_label(offered.of(name))))
        for name in sorted(names)
        if ":" not in name
    ]
    unknown = offered.by_name.get(ANY, offered.unknown)
    entries.append((MapKey(""), Literal(_label(offered.none))))
    return shared.hosts("offer", NAME, entries, Literal(_label(unknown)))


def _protocols(ctx: Context, offered: Offers) -> list[Node]:
    policy = tls.policy_of(ctx, Offer(offered.negotiated))
    return [directive("ssl_alpn", *map(Plain, policy.alpn))] if policy.alpn else []


def told(offer_of: Mapping[str, Var]) -> list[Node]:
    """Returns the maps that say why a handshake failed; none where no listener ends TLS."""
    if not offer_of:
        return []
    entries: list[tuple[Arg, Arg]] = [
        (whole(quoted(name)), offer) for name, offer in offer_of.items()
    ]
    asked = Template((Var("ssl_protocol"), " ", Var(_OFFER)))
    return [
        mapped(_OFFER, Var("hg_listener"), _NOBODY, *entries),
        mapped(
            "hg_unsecured",
            asked,
            Word("tls-handshake"),
            (Regex(r"~\A "), Word("error")),
            (Regex(r"~ \z"), Word("tls-refused")),
        ),
    ]


def served_names(ctx: Context) -> Iterator[ServedName]:
    """Yields what a client of each name with a certificate may be served."""
    for listener in ctx.tcp_listeners.values():
        if listener.tls is None:
            continue
        is_proxied = listener.client_ip.proxy_protocol is not None
        for name, offer in offers(listener.tls, ctx).by_name.items():
            leaves = tuple(sorted(leaf(ctx, one).sha256 for one in offer.certificates))
            if name != ANY:
                for address in listener.addresses:
                    yield ServedName(address, name, leaves, is_proxied)
