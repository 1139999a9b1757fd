"""Validates, compiles and encodes one entry of the config on its own."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from types import MappingProxyType
from typing import Final

import msgspec
from pydantic import ValidationError

from headgate.compile import objects
from headgate.compile.certified import asks_certificates
from headgate.compile.claims import may_name
from headgate.compile.limit_stores import may_share
from headgate.compile.reads import Reads, Seen
from headgate.compile.resolved import Ref, Resolved
from headgate.compile.routes import is_crosschecked, route
from headgate.compile.sources import Source
from headgate.compile.tcp import tcp_route
from headgate.compile.udp import udp_route
from headgate.compile.written import written_addresses, written_refs
from headgate.kernel.diagnostics import ConfigPath
from headgate.kernel.errors import Invalid
from headgate.kernel.ids import BlobId
from headgate.kernel.key_sets import KeySetUrl
from headgate.kernel.nearest import nearest
from headgate.model.choice import Middleware
from headgate.model.config import Entry, Section
from headgate.model.hidden import hidden_texts
from headgate.model.host import Host
from headgate.model.listener import Listener
from headgate.model.nulls import nulls
from headgate.model.problems import Problem, besides, problems
from headgate.model.references import resolved
from headgate.model.route import Route
from headgate.model.tcp_route import TcpRoute
from headgate.model.tls import Certificate, TlsPolicy
from headgate.model.udp_route import UdpRoute
from headgate.model.upstream import Upstream
from headgate.plan.plan import PlanEntry, entry

# One context serves the next unit, too: what that one reads must not become this one's.
_CHAINED: Final = frozenset({"route", "host", "middleware"})
_UNSEEN: Final[Mapping[PurePath, Seen]] = MappingProxyType({})
_NO_BLOBS: Final[Mapping[BlobId, bytes]] = MappingProxyType({})
_NO_KEY_SETS: Final[Mapping[KeySetUrl, BlobId | None]] = MappingProxyType({})


class Unit(msgspec.Struct, frozen=True, gc=False):
    """The result for one entry. `plan` is None if the entry has an error."""

    section: Section
    name: str
    plan: PlanEntry | None = None
    refs: tuple[Ref, ...] = ()
    problems: tuple[Problem, ...] = ()
    seen: Mapping[PurePath, Seen] = MappingProxyType({})
    """The files that it refers to, with the content read."""
    blobs: Mapping[BlobId, bytes] = MappingProxyType({})
    secrets: tuple[str, ...] = ()
    """Texts of its plan object that nothing may show."""
    is_default_listener: bool = False
    takes_default_listeners: bool = False
    is_crosschecked: bool = False
    """True if a key of the route excludes keys of objects that it names, or a middleware that is
    written in it, or in a host, asks for certificates; or if it may name a claim, or has a limit
    across nodes."""
    addresses: tuple[tuple[int, str], ...] = ()
    """The valid addresses of a listener with an error, with their indexes in the text."""
    key_sets: Mapping[KeySetUrl, BlobId | None] = MappingProxyType({})
    """The key sets that it needs from elsewhere, with the content read."""


class Context(msgspec.Struct, frozen=True, gc=False):
    """Everything that a unit may depend on besides its own text.

    One context serves several units, until one of them reads a file or hides a text.
    """

    source: Source
    reads: Reads
    env: Mapping[str, str] | None
    """None if the document has no reference to the environment."""
    default_listeners: Sequence[str]
    listener_addresses: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    """The addresses at which this node opens listeners, instead of those in the config."""


_COMPILE: Final[dict[type[object], Callable[..., Resolved]]] = {
    Host: lambda model, _: objects.host(model),
    Route: lambda model, context: route(model, context.default_listeners),
    Upstream: lambda model, context: objects.upstream(model, context.reads),
    Certificate: lambda model, context: objects.certificate(model, context.reads),
    TlsPolicy: lambda model, context: objects.tls_policy(model, context.reads),
    TcpRoute: lambda model, _: tcp_route(model),
    UdpRoute: lambda model, _: udp_route(model),
}


def unit(section: Section, key: str, value: object, context: Context) -> Unit:
    """Validates and compiles the value of one entry, and collects all its problems."""
    base: ConfigPath = (section.key, key)
    found: tuple[Problem, ...] = ()
    try:
        name = section.name(key)
    except Invalid as wrong:
        problem = Problem(base, wrong.what, wrong.allowed, "key")
        is_default = _may_be_default(section, value)
        return Unit(section, key, problems=(problem,), is_default_listener=is_default)
    if context.source.may_hold_null:
        found = nulls(value, base)
    if context.env is not None:
        value, missing = resolved(value, base, context.env)
        found += missing
        for text in hidden_texts(value, base):
            context.reads.hide(text)
    try:
        model = section.validate(value, context=context.reads)
    except ValidationError as wrong:
        found += besides(problems(base, wrong), found)
        return _wrong(section, name, value, context, found)
    if found:
        return _wrong(section, name, value, context, found)
    return _compiled(section, name, base, model, context)


def _wrong(
    section: Section, name: str, value: object, context: Context, found: tuple[Problem, ...]
) -> Unit:
    """Returns the unit of an entry with a mistake:
    others may refer to it, and it may refer to others.
    """
    return Unit(
        section,
        name,
        refs=written_refs(section.kind, value),
        problems=found,
        seen=context.reads.seen or _UNSEEN,
        addresses=written_addresses(section.kind, value),
        is_default_listener=_may_be_default(section, value),
        takes_default_listeners=section.kind == "route" and _takes_defaults(value),
    )


def _may_be_default(section: Section, value: object) -> bool:
    """Reports whether a listener with a mistake may be a default one;
    its routes are then not at fault. Nothing is served by this guess.
    """
    if section.kind != "listener":
        return False
    if not isinstance(value, dict):
        return True
    keys = (str(key) for key in value)
    written = next((key for key in keys if nearest(key, ("default",)) is not None), None)
    return written is not None and value[written] is not False


def _takes_defaults(value: object) -> bool:
    """Reports whether a route with a mistake uses the default listeners."""
    if not isinstance(value, dict):
        return False
    return not any(nearest(str(key), ("listeners",)) is not None for key in value)


def _compiled(
    section: Section,
    name: str,
    base: ConfigPath,
    model: Entry,
    context: Context,
) -> Unit:
    if isinstance(model, Middleware):
        out = objects.middleware(model)
    elif isinstance(model, Listener):
        out = objects.listener(model, context.listener_addresses.get(name, ()))
    else:
        out = _COMPILE[type(model)](model, context)
    found: tuple[Problem, ...] = ()
    if out.problems:
        found = tuple(
            Problem((*base, *p.path), p.message, p.allowed, p.where) for p in out.problems
        )
    plan = None
    if out.value is not None and not found:
        plan = entry(section.kind, name, out.value, out.blobs)
    return Unit(
        section,
        name,
        plan,
        tuple(out.refs),
        found,
        context.reads.seen or _UNSEEN,
        context.reads.blobs or _NO_BLOBS,
        tuple(context.reads.secrets),
        is_default_listener=type(model) is Listener and model.default,
        takes_default_listeners=type(model) is Route and model.listeners is None,
        is_crosschecked=(type(model) is Route and is_crosschecked(model))
        or asks_certificates(out.value)
        or (section.kind in _CHAINED and (may_name(plan) or may_share(plan))),
        key_sets=context.reads.key_sets or _NO_KEY_SETS,
    )
