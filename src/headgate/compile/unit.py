"""One entry of the config on its own: validated, compiled, encoded."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from types import MappingProxyType
from typing import Final

import msgspec
from pydantic import ValidationError

from headgate.compile import objects
from headgate.compile.reads import Reads
from headgate.compile.resolved import Ref, Resolved
from headgate.compile.routes import route
from headgate.compile.sources import Source
from headgate.compile.written import written_refs
from headgate.kernel.diagnostics import ConfigPath
from headgate.kernel.errors import Invalid
from headgate.kernel.ids import BlobId
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
from headgate.model.tls import Certificate, TlsPolicy
from headgate.model.upstream import Upstream
from headgate.plan.plan import PlanEntry, entry


class Unit(msgspec.Struct, frozen=True, gc=False):
    """What one entry came to. `plan` is None when something is wrong with it."""

    section: Section
    name: str
    plan: PlanEntry | None = None
    refs: tuple[Ref, ...] = ()
    problems: tuple[Problem, ...] = ()
    seen: Mapping[PurePath, BlobId | None] = MappingProxyType({})
    """Files it refers to, as they were."""
    blobs: Mapping[BlobId, bytes] = MappingProxyType({})
    secrets: tuple[str, ...] = ()
    """Texts of its plan object that must not be shown."""
    is_default_listener: bool = False
    takes_default_listeners: bool = False
    forwards_raw_path: bool = False


class Context(msgspec.Struct, frozen=True, gc=False):
    """What a unit may depend on besides its own text.

    Serves one unit after the other until one of them has read a file or hidden a text.
    """

    source: Source
    reads: Reads
    env: Mapping[str, str] | None
    """None when the document has no reference to the environment."""
    default_listeners: Sequence[str]


_COMPILE: Final[dict[type[object], Callable[..., Resolved]]] = {
    Listener: lambda model, _: objects.listener(model),
    Host: lambda model, _: objects.host(model),
    Route: lambda model, context: route(model, context.default_listeners),
    Upstream: lambda model, context: objects.upstream(model, context.reads),
    Certificate: lambda model, context: objects.certificate(model, context.reads),
    TlsPolicy: lambda model, context: objects.tls_policy(model, context.reads),
}


def unit(section: Section, key: str, value: object, context: Context) -> Unit:
    """Validates and compiles the value of one entry; every problem of it at once."""
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
    """What is known of an entry with a mistake: others may refer to it, and it to others."""
    return Unit(
        section,
        name,
        refs=written_refs(section.kind, value),
        problems=found,
        seen=context.reads.seen,
        is_default_listener=_may_be_default(section, value),
        takes_default_listeners=section.kind == "route" and _takes_defaults(value),
    )


def _may_be_default(section: Section, value: object) -> bool:
    """Whether a listener with a mistake may be meant as default: its routes are not to blame."""
    if section.kind != "listener":
        return False
    if not isinstance(value, dict):
        return True
    keys = (str(key) for key in value)
    written = next((key for key in keys if nearest(key, ("default",)) is not None), None)
    return written is not None and value[written] is not False


def _takes_defaults(value: object) -> bool:
    """Whether a route with a mistake names no listeners of its own."""
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
        context.reads.seen,
        context.reads.blobs,
        tuple(context.reads.secrets),
        is_default_listener=type(model) is Listener and model.default,
        takes_default_listeners=type(model) is Route and model.listeners is None,
        forwards_raw_path=type(model) is Route and model.forward_path == "raw",
    )
