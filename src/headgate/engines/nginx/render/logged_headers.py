"""Renders the request headers that access logs name: without credentials, and cut.

A header that tells who the client is has a value from trusted peers alone.
"""

from typing import Final

from headgate.engines.nginx.render import veiled
from headgate.engines.nginx.render.context import Context
from headgate.features.log_named import HEADER, logged_headers
from headgate.features.nginx import HEADER_ALLOWED, About
from headgate.kernel.redaction import SHOWN
from headgate.nginxtext.tree import Node
from headgate.nginxtext.writer import Literal, MapKey, Regex, Var

_MOST: Final = 1_024
"""The most bytes of a value, as with the native engine."""


def fields(ctx: Context, about: About) -> dict[str, Var]:
    """Returns what lines say of the headers; refuses names that nginx never passes on."""
    log = ctx.settings.access_log
    found: dict[str, Var] = {}
    for name in logged_headers(log):
        if (value := _value(ctx, name)) is None:
            at = "fields" if log is not None and log.template is None else "template"
            about.refuse(at, f"{HEADER}{name}: {HEADER_ALLOWED}")
        else:
            found[f"{HEADER}{name}"] = value
    return found


def claim(ctx: Context) -> None:
    """Has the maps of client headers hold those that logs name; comes before these are rendered."""
    for name in logged_headers(ctx.settings.access_log):
        ctx.shared.request_header(name)


def maps(ctx: Context) -> list[Node]:
    """Returns the maps that hide parameters of a query in these headers."""
    found: list[Node] = []
    for name in logged_headers(ctx.settings.access_log):
        if (source := ctx.shared.request_header(name)) is not None:
            found += veiled.maps_of(ctx, source, _veiled(name).name)
    return found


def _value(ctx: Context, name: str) -> Var | None:
    source = ctx.shared.request_header(name)
    if source is None:
        return None
    if name in ctx.settings.redaction.headers:
        empty = (MapKey(""), Literal(""))
        return ctx.shared.map("log_hidden", source, (empty,), Literal(SHOWN))
    if ctx.settings.redaction.query:
        source = _veiled(name)
    longer = (Regex(rf"~\A(?<hg_raw>.{{{_MOST}}})."), Var("hg_raw"))
    return ctx.shared.map("log_cut", source, (longer,), source)


def _veiled(name: str) -> Var:
    return Var("hg_log_header_" + name.replace("-", "_"))
