"""Renders which bodies nginx keeps to send a request again (`retry`): those that the native engine
keeps, as far as nginx knows their length before they come.

nginx sends a request again only if it has the whole body, and it has that if it collects the body
first: whatever does not fit into its buffer goes into a file. Whether it collects is a setting of a
location, so that a route with `retry` has two that forward. Small bodies go to the one that
collects; longer ones, and those whose length nobody knows yet, pass on as they come.
"""

from typing import Final

from headgate.engines.nginx.render import names
from headgate.features.nginx import Shared
from headgate.nginxtext.tree import Node
from headgate.nginxtext.writer import (
    Arg,
    Literal,
    Plain,
    Regex,
    Template,
    Var,
    Word,
    directive,
)
from headgate.plan.objects import Retry, Route

MOST_BYTES: Final = 65_536
"""The bytes that the native engine keeps of a body, too (`REPLAY_BYTES` of `hg-engine`)."""

_FITS: Final = (
    "0*(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-6])"
)
_ONCE: Final = "(?!POST |LOCK |PATCH )"
"""The exclusion of methods that nginx never sends twice unless `non_idempotent` says so."""
_NO_FILE: Final = Word("/.")
"""See `admission`."""


def applies(route: Route) -> bool:
    """Reports whether the bodies of a route need it: not where nginx collects all of them."""
    is_collected = bool(route.body_buffer_bytes or any(mirror.share for mirror in route.mirrors))
    return route.retry is not None and not is_collected


def lines() -> list[Node]:
    """Returns what the location that collects says besides."""
    return collecting(MOST_BYTES)


def collecting(most: int) -> list[Node]:
    """Returns lines for bodies that nginx collects first; it puts larger ones into a file."""
    return [
        directive("proxy_request_buffering", Word("on")),
        directive("client_body_buffer_size", Word(str(most))),
    ]


def forwarding(place: str, retry: Retry | None, shared: Shared) -> Node:
    """Returns the line that goes on to the location that forwards; without `retry` there is one."""
    to: Arg = Plain(names.sent(place))
    if retry is not None:
        to = Template((names.sent(place), _suffix(retry, shared)))
    return directive("try_files", _NO_FILE, to)


def _suffix(retry: Retry, shared: Shared) -> Var:
    """Returns a variable: how the name of the location for a request's body ends."""
    methods = "" if retry.methods == "all" else _ONCE
    source = Template((Var("request_method"), " ", Var("content_length")))
    kept = (Regex(rf"~\A{methods}\S+ {_FITS}\z"), Literal(names.KEPT))
    return shared.map("kept_body", source, (kept,), Literal(""))
