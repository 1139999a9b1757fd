"""Answers 421 to a request whose host would get another certificate
or policy than its connection has.

As the core's `needs_421` (docs/reference/tls.md). Maps find a class for the SNI and for the host;
the renderer knows which classes may share a connection.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from headgate.engines.nginx.render import tls
from headgate.engines.nginx.render.context import Context
from headgate.engines.nginx.render.tlsnames import ANY, Offer, Offers, map_key, offers
from headgate.features.nginx import NAME, Entry, quoted, whole
from headgate.nginxtext.writer import (
    Literal,
    MapKey,
    Regex,
    Template,
    Var,
    Word,
)

_NOT: Final = Literal("")
_YES: Final = Word("1")
_UNKNOWN: Final = "u"
_NO_NAME: Final = "n"
_AT_ONCE: Final = 400

_CLASSES: Final = rf" [0-9{_UNKNOWN}{_NO_NAME}]+ [0-9{_UNKNOWN}{_NO_NAME}]+\z"


def variable(ctx: Context) -> Var | None:
    """Returns a variable that is not empty for a misdirected request; None where none can occur."""
    found: list[Entry] = []
    for name, listener in ctx.listeners.items():
        if listener.tls is None:
            continue
        offered = offers(listener.tls, ctx)
        classes = sorted({*offered.by_name.values(), offered.none}, key=repr)
        if len(classes) > 1:
            found.append((whole(quoted(name)), _of_listener(ctx, offered, classes)))
    if not found:
        return None
    return ctx.shared.map("misdirected", Var("hg_listener"), found, _NOT)


def _of_listener(ctx: Context, offered: Offers, classes: Sequence[Offer]) -> Var:
    number = {offer: str(index) for index, offer in enumerate(classes)}
    names = dict.fromkeys((*offered.by_name, *offered.covered))
    entries: list[Entry] = [
        (map_key(name, offered), Word(number[offered.of(name)]))
        for name in names
        if name != ANY and ":" not in name
    ]
    # No handshake asks for these.
    addresses: list[Entry] = [
        (MapKey(name), Word(number[offer]))
        for name, offer in offered.by_name.items()
        if ":" in name
    ]
    known = number[offered.by_name[ANY]] if ANY in offered.by_name else None
    hosts = [*entries, *addresses]
    by_host = ctx.shared.hosts("tls_host", Var("host"), hosts, Word(known or _UNKNOWN))
    # An unknown name shakes hands by the default certificate, or not at all.
    default = Word(known or number[offered.none])
    asked = Var("ssl_server_name")
    unnamed: Entry = (MapKey(""), Word(_NO_NAME))
    by_name = ctx.shared.hosts("tls_name", asked, [unnamed, *entries], default)
    source = Template((asked, " ", Var("host"), " ", by_name, " ", by_host))
    judged = list(_judged(ctx, offered, classes, number))
    return ctx.shared.map("misdirected", source, judged, _YES)


def _judged(
    ctx: Context, offered: Offers, classes: Sequence[Offer], number: dict[Offer, str]
) -> Iterator[Entry]:
    # Whole lines: a blank in the SNI would stand for one of ours. For what is no name, nginx takes
    # its default server, and it cuts off a port, while a map looks at the bytes as they are.
    yield Regex(rf"~*\A({NAME}) \1{_CLASSES}"), _NOT
    yield Regex(rf"~*\A(?!(?:{NAME})? [^ ]*{_CLASSES})"), _YES
    policy = offered.none.policy
    others = [offer for offer in classes if offer.policy != policy]
    for group in _groups([number[offer] for offer in others]):
        yield Regex(rf"~ (?:{group}) {_UNKNOWN}\z"), _YES
    yield Regex(rf"~ {_UNKNOWN}\z"), _NOT
    asking = [o for o in others if tls.policy_of(ctx, o).client_auth is not None]
    for group in _groups([number[offer] for offer in asking]):
        yield Regex(rf"~ {_NO_NAME} (?:{group})\z"), _YES
    yield Regex(rf"~ {_NO_NAME} \S+\z"), _NOT
    yield Regex(r"~ (\S+) \1\z"), _NOT
    by_certificate: dict[str, list[Offer]] = {}
    for offer in classes:
        for certificate in offer.certificates:
            by_certificate.setdefault(certificate, []).append(offer)
    for offer in classes:
        for certificate in offer.certificates[:1]:
            for other in by_certificate[certificate]:
                fits = set(offer.certificates) <= set(other.certificates)
                if fits and other != offer and other.policy == offer.policy:
                    yield Regex(rf"~ {number[offer]} {number[other]}\z"), _NOT


def _groups(numbers: Sequence[str]) -> Iterator[str]:
    """Yields numbers joined by `|`, as many as fit into a word."""
    for start in range(0, len(numbers), _AT_ONCE):
        yield "|".join(numbers[start : start + _AT_ONCE])
