"""Regular expressions, judged by the core's own code that will match them."""

from collections.abc import Iterator
from typing import Annotated, Final

from pydantic import WithJsonSchema

from headgate._core import PlanError, Router
from headgate.features.fields import parsed
from headgate.features.syntax import REGEX_ALLOWED
from headgate.kernel.errors import Invalid
from headgate.plan.codec import encode
from headgate.plan.middleware import MiddlewareUse, PathRewrite, RegexRewrite, Respond, Rewrite
from headgate.plan.objects import Action, Match, PathMatch, Route

_GROUPS: Final = "write `$1` or `${name}` for a group of the expression, `$$` for a dollar sign"
_ANSWER: Final = Action(respond=Respond(status=204))


def pattern(text: str) -> str:
    """An expression for a whole path or value, in the syntax that Rust and PCRE share.

    Costs about 20 µs: it is compiled, as the data plane will.
    """
    if not text:
        raise Invalid("the expression is empty", REGEX_ALLOWED)
    match = Match(path=PathMatch(regex=text))
    for _, message in _complaints(Route(("*",), ("any",), _ANSWER, match=(match,))):
        raise Invalid(message, REGEX_ALLOWED)
    return text


def replacement_faults(regex: str, replacement: str) -> Iterator[Invalid]:
    """What the core would not rewrite by, at `regex` or `with`."""
    rewrite = Rewrite(path=PathRewrite(regex=RegexRewrite(regex, replacement)))
    route = Route(("*",), ("any",), _ANSWER, middlewares=(MiddlewareUse(rewrite=rewrite),))
    for key, message in _complaints(route):
        yield Invalid(message, REGEX_ALLOWED if key == "regex" else _GROUPS, at=(key,))


def _complaints(route: Route) -> list[tuple[str, str]]:
    """What the core says of a route: the last key and the message of each, in one line."""
    try:
        Router([("route", "checked", encode(route))])
    except PlanError as wrong:
        return [(path.rpartition(".")[2], _one_line(text)) for _, _, path, text in wrong.problems]
    return []


def _one_line(message: str) -> str:
    """The message without the drawing that regex parsers make of the place."""
    if "\n" not in message:
        return message
    head, _, cause = message.partition("\n")
    return f"{head} {cause.rpartition('error: ')[2].strip()}"


Pattern = Annotated[
    str,
    parsed(pattern, "a regular expression", REGEX_ALLOWED),
    WithJsonSchema({"type": "string", "format": "regex"}),
]
"""An expression for a whole path or value."""
