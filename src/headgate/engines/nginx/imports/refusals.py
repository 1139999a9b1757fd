"""Makes routes that refuse, for the places of an nginx config without a counterpart.

Each has the rank of its place, so that no wider route decides what nginx would decide there. Where
our matches cannot express what the place takes, they take more, never less.
"""

from collections.abc import Sequence
from typing import Final

from headgate.engines.nginx.imports import patterns
from headgate.engines.nginx.imports.objects import (
    ModelObject,
    NotExpressibleError,
    Table,
    Toml,
    validated,
)
from headgate.engines.nginx.imports.ranks import Ranks, Spot
from headgate.engines.nginx.imports.routing import Attachment
from headgate.features import syntax
from headgate.kernel.errors import Invalid
from headgate.nginxtext.includes import Located

_LONGEST_TEXT: Final = 900
_ANY_ENCODED: Final = ".*%2F.*"
_MANY: Final = 64
ENCODED_SLASH: Final = "nginx decodes %2F before it looks for a location"
REST: Final = "no location takes it: nginx serves files there"


def matches_of(spot: Spot) -> list[Table] | None:
    """Returns matches that take at least what a location takes; None if no path leads there."""
    if spot.is_regex:
        return [_regex(patterns.expression(spot.path, any_case=spot.modifier == b"~*"))]
    path = spot.path or b"/"
    if not path.startswith(b"/") or spot.modifier == b"@":
        return None
    if spot.modifier == b"=":
        return [_literal("exact", path) or _regex(patterns.literal(path))]
    return _below(path)


def _below(path: bytes) -> list[Table]:
    if path == b"/":
        return []
    prefix = _literal("prefix", path.removesuffix(b"/"))
    if prefix is None:
        return [_regex(patterns.beginning_with(path))]
    if path.endswith(b"/"):
        return [prefix]
    return [prefix, _regex(f"{patterns.literal(path)}[^/].*")]


def _literal(kind: str, path: bytes) -> Table | None:
    """Returns a match by the path itself, where decoding and normal form leave it as it is."""
    text = path.decode(errors="replace")
    if patterns.literal(path).replace("\\", "") != text:
        return None
    try:
        return {"path": {kind: text}} if syntax.routed_path(text) == text else None
    except Invalid:
        return None


def _regex(expression: str) -> Table:
    return {"path": {"regex": expression}}


def refusal(
    name: str,
    attached: Attachment,
    match: Sequence[Table],
    text: str,
    priority: int = 0,
) -> ModelObject:
    """Returns a route that refuses what it matches."""
    table: dict[str, Toml] = {"hosts": attached.hosts, "listeners": attached.listeners}
    if match:
        table["match"] = list(match)
    if priority:
        table["priority"] = priority
    table["not_imported"] = text[:_LONGEST_TEXT]
    one = ModelObject("routes", f"{name}{attached.suffix}", table)
    try:
        return validated(one)
    except NotExpressibleError:
        if not match:
            raise
    wider = {**table, "match": [_regex(patterns.EVERYTHING)]}
    return validated(ModelObject("routes", one.name, wider))


def text_of(located: Located, why: str) -> str:
    """Returns where a place is and why it has no counterpart."""
    words = b" ".join((located.directive.name, *located.directive.values))
    what = words.decode(errors="replace")
    return f"{located.file}:{located.directive.line}: {what}: {why}"


def guards(spots: Sequence[Spot], ranks: Ranks) -> list[Table]:
    """Returns refusals of paths that lead to another location once `%2F` is decoded."""
    if ranks.has_regex:
        return [_regex(_ANY_ENCODED)]
    found: list[str] = []
    for one in spots:
        if one.path.startswith(b"/") and (one.path != b"/" or one.modifier == b"="):
            found += patterns.encoded_slashes(one.path, exact=one.modifier == b"=")
            if one.path.endswith(b"/") and one.path != b"/":
                found += patterns.encoded_slashes(one.path[:-1], exact=True)
    return [_regex(each) for each in (found if len(found) <= _MANY else [_ANY_ENCODED])]
