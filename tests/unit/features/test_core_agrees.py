"""What the options take, the core takes: a config that passes `check` is not refused later."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate._core import PlanError, Router
from headgate.features import syntax, templates
from headgate.kernel.errors import Invalid
from headgate.plan.codec import encode
from headgate.plan.middleware import (
    HeaderEdits,
    MiddlewareUse,
    PathRewrite,
    Redirect,
    Respond,
    Rewrite,
)
from headgate.plan.objects import Action, Match, PathMatch, Route, ValueMatch

ANSWER = Action(respond=Respond(status=200))


def matching(match: Match) -> Route:
    return Route(("*",), ("web",), ANSWER, match=(match,))


def using(middleware: MiddlewareUse) -> Route:
    return Route(("*",), ("web",), ANSWER, middlewares=(middleware,))


def rewriting(path: PathRewrite) -> Route:
    return using(MiddlewareUse(rewrite=Rewrite(path=path)))


def prefix(text: str) -> str:
    return syntax.routed_path(text).rstrip("/") or "/"


def strippable(text: str) -> str:
    if prefix(text) == "/":
        raise Invalid("nothing to strip", "")
    return prefix(text)


PLACES: dict[str, tuple[Callable[[str], str], Callable[[str], Route]]] = {
    "hosts": (syntax.host_pattern, lambda t: Route((t,), ("web",), ANSWER)),
    "path.exact": (syntax.routed_path, lambda t: matching(Match(path=PathMatch(exact=t)))),
    "path.prefix": (prefix, lambda t: matching(Match(path=PathMatch(prefix=t)))),
    "methods": (syntax.method, lambda t: matching(Match(methods=(t,)))),
    "client": (syntax.cidr, lambda t: matching(Match(client=(t,)))),
    "headers": (
        syntax.header_name,
        lambda t: matching(Match(headers={t: ValueMatch(present=True)})),
    ),
    "cookies": (
        syntax.cookie_name,
        lambda t: matching(Match(cookies={t: ValueMatch(present=True)})),
    ),
    "query": (str, lambda t: matching(Match(query={t: ValueMatch(exact=t)}))),
    "rewrite.strip_prefix": (strippable, lambda t: rewriting(PathRewrite(strip_prefix=t))),
    "rewrite.prefix": (prefix, lambda t: rewriting(PathRewrite(prefix=t))),
    "rewrite.path": (templates.path_template, lambda t: rewriting(PathRewrite(path=t))),
    "rewrite.host": (
        templates.host_template,
        lambda t: using(MiddlewareUse(rewrite=Rewrite(host=t))),
    ),
    "redirect.host": (
        templates.bare_host_template,
        lambda t: using(MiddlewareUse(redirect=Redirect(308, host=t))),
    ),
    "redirect.path": (
        templates.path_template,
        lambda t: using(MiddlewareUse(redirect=Redirect(308, path=t))),
    ),
    "redirect.prefix": (prefix, lambda t: using(MiddlewareUse(redirect=Redirect(308, prefix=t)))),
    "header value": (
        templates.header_value,
        lambda t: using(MiddlewareUse(request_headers=HeaderEdits(set={"x-a": t}))),
    ),
    "body": (
        templates.template,
        lambda t: Route(("*",), ("web",), Action(respond=Respond(status=200, body=t))),
    ),
}

FRAGMENTS = [
    "/",
    "//",
    "a",
    "B",
    "1",
    ".",
    "..",
    "-",
    "_",
    "*",
    "[::1]",
    ":",
    ":80",
    "%2F",
    "%2f",
    "%00",
    "%20",
    "${host}",
    "${path}",
    "${header:x-a}",
    "$$",
    "$",
    "{",
    "}",
    " ",
    "\n",
    "\0",
    "é",
    "?",
    "#",
    "\\",
    "~",
    "10.0.0.0",
    "/8",
    "GET",
    "@",
    ";",
    ",",
    "=",
    "&",
    "'",
    '"',
    "|",
    "%5C",
    "%",
    "^",
    "`",
]


@pytest.mark.parametrize("place", PLACES)
@settings(max_examples=200)
@given(text=st.lists(st.sampled_from(FRAGMENTS), max_size=5).map("".join))
def test_the_core_takes_what_the_options_take(place: str, text: str) -> None:
    parse, in_route = PLACES[place]
    try:
        canonical = parse(text)
    except Invalid:
        return
    try:
        Router([("route", "r", encode(in_route(canonical)))])
    except PlanError as wrong:
        raise AssertionError(f"{canonical!r}: {wrong}") from None
