"""Regular expressions, checked by the code of the core that matches them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Final

from pydantic import WithJsonSchema

from headgate._core import PlanError, Router
from headgate.features.fields import parsed
from headgate.features.syntax import REGEX_ALLOWED
from headgate.kernel.errors import Invalid
from headgate.plan.codec import encode
from headgate.plan.middleware import MiddlewareUse, PathRewrite, RegexRewrite, Respond, Rewrite
from headgate.plan.objects import Action, Match, PathMatch, Route, ValueMatch

_VERBS: Final = ("write ", "list ", "escape ")
_GROUPS: Final = "write `$1` or `${name}` for a group of the expression, `$$` for a dollar sign"
_ANSWER: Final = Action(respond=Respond(status=204))

_CAUSES: Final = {
    "unclosed group": (
        "the group is not closed",
        r"write `)` at its end, or `\(` for the character",
    ),
    "unopened group": ("no group begins before `)`", r"remove it, or write `\)` for the character"),
    "unclosed character class": (
        "the character class is not closed",
        r"write `]` at its end, or `\[` for the character",
    ),
    "invalid character class range, the start must be <= the end": (
        "the range of the character class ends before it begins",
        "write the lower character first, such as `[a-z]`",
    ),
    "repetition operator missing expression": (
        "there is nothing to repeat",
        "write an expression before `*`, `+`, `?` or `{`; `.*` matches any text",
    ),
    "unclosed counted repetition": (
        "the counted repetition is not closed",
        r"write it as `{2}` or `{2,5}`, or write `\{` for the character",
    ),
    "repetition quantifier expects a valid decimal": (
        "the counted repetition has no number",
        r"write it as `{2}` or `{2,5}`, or write `\{` for the character",
    ),
    "invalid repetition count range, the start must be <= the end": (
        "the counted repetition ends below its start",
        "write the lower number first, such as `{2,5}`",
    ),
    "unrecognized escape sequence": ("the escape is unknown", r"write `\\` for a backslash"),
    "incomplete escape sequence, reached end of pattern prematurely": (
        "a backslash ends the expression",
        r"write `\\` for a backslash",
    ),
    "backreferences are not supported": (
        "backreferences are not supported",
        "write the expression of the group again",
    ),
    "look-around, including look-ahead and look-behind, is not supported": (
        "look-around is not supported",
        "write a route of its own for what it excludes",
    ),
}
"""The causes that the regex parser names, in plain words: what is wrong; what to write."""


def pattern(text: str) -> str:
    """Returns the expression itself, for a whole path or value, in the syntax
    that Rust and PCRE share.

    It is compiled as in the data plane. Raises `Invalid` for a fault.
    """
    if not text:
        raise Invalid("the expression is empty", REGEX_ALLOWED)
    if complaint := _complaint(text):
        raise Invalid(*_halves(complaint, REGEX_ALLOWED))
    return text


@lru_cache(maxsize=1 << 14)
def _complaint(regex: str) -> str:
    """Returns the first error of the core about an expression; empty if there is none.

    Takes 40 µs, most of what a route costs, and a reload rarely changes an expression.
    """
    match = Match(path=PathMatch(regex=regex))
    found = _complaints(Route(("*",), ("any",), _ANSWER, match=(match,)))
    return found[0][1] if found else ""


@dataclass(frozen=True)
class _EmptyValue:
    """A request whose query parameter `value` is empty."""

    listener: str = "any"
    scheme: str = "http"
    host: str = "a.example"
    port: int | None = None
    path: str = "/"
    query: str | None = "value="
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    client: str = "127.0.0.1"


@lru_cache(maxsize=1 << 10)
def takes_empty(regex: str) -> bool:
    """Reports whether the core finds that an expression matches the empty value.

    An expression that the core refuses matches nothing.
    """
    match = Match(query={"value": ValueMatch(regex=regex)})
    route = Route(("*",), ("any",), _ANSWER, match=(match,))
    try:
        router = Router([("route", "asked", encode(route))])
    except PlanError:
        return False
    return router.find(_EmptyValue()) is not None


def replacement_faults(regex: str, replacement: str) -> Iterator[Invalid]:
    """Yields the errors of the core about a rewrite, each at `regex` or `with`."""
    rewrite = Rewrite(path=PathRewrite(regex=RegexRewrite(regex, replacement)))
    route = Route(("*",), ("any",), _ANSWER, middlewares=(MiddlewareUse(rewrite=rewrite),))
    for key, message in _complaints(route):
        allowed = REGEX_ALLOWED if key == "regex" else _GROUPS
        yield Invalid(*_halves(message, allowed), at=(key,))


def _complaints(route: Route) -> list[tuple[str, str]]:
    """Returns the errors of the core about a route:
    the last key and the one-line message of each.
    """
    try:
        Router([("route", "checked", encode(route))])
    except PlanError as wrong:
        return [(path.rpartition(".")[2], _one_line(text)) for _, _, path, text in wrong.problems]
    return []


def _one_line(message: str) -> str:
    """Returns the message without the picture that the regex parser draws of the place."""
    if "\n" not in message:
        return message
    head, _, cause = message.partition("\n")
    return f"{head.removesuffix(' regex parse error:')} {cause.rpartition('error: ')[2].strip()}"


def _halves(message: str, allowed: str) -> tuple[str, str]:
    """Returns what is wrong and what to write instead:
    the core's advice, or else the general one.
    """
    for cause, (what, advice) in _CAUSES.items():
        if message.endswith(cause):
            return message.removesuffix(cause) + what, advice
    what, semicolon, advice = message.partition("; ")
    return (what, advice) if semicolon and advice.startswith(_VERBS) else (message, allowed)


Pattern = Annotated[
    str,
    parsed(pattern, "a regular expression", REGEX_ALLOWED),
    WithJsonSchema({"type": "string", "format": "regex"}),
]
"""An expression for a whole path or value."""
