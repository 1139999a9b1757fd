"""Converts `expires` to the middleware of that name, and back."""

from typing import Final

from headgate.engines.nginx.imports import values
from headgate.engines.nginx.imports.around import Around
from headgate.engines.nginx.imports.headers import middleware
from headgate.engines.nginx.imports.objects import (
    ModelObject,
    NotExpressibleError,
    Table,
    Toml,
    validated,
)
from headgate.features.nginx_headers import WITHOUT_ERRORS
from headgate.nginxtext.tree import Directive
from headgate.nginxtext.writer import Word, directive

KIND: Final = "expires"
NAMES: Final = frozenset({KIND})
"""The lines that become the middleware."""

_LINE: Final = KIND.encode()
_OFF: Final = "off"
_WORDS: Final = {"max": "max", "epoch": "past"}
_THEIRS: Final = {"max": "max", "past": "epoch", "now": "0"}
_TEN_YEARS: Final = "87600h"
"""The `max-age` of nginx's `max`."""
_NOTES: Final = {
    "max": "`expires`: `max` has the date of nginx's own `max` here, of 2037",
    "past": "`expires`: a time that has passed has a date of 1970 here",
}


def expires_of(around: Around) -> Table | None:
    """Returns the middleware; None where answers stay as they are.

    Raises `NotExpressibleError` for a variable, a time of the day or from the last change on, and a
    time that is longer than ours.
    """
    after = _after(_written(around))
    if after is None:
        return None
    return validated(ModelObject("middlewares", KIND, {KIND: {"after": after}})).table


def of_answer(around: Around, status: int) -> Table | None:
    """Returns the middleware for an answer of nginx's own; None if it does nothing to it."""
    return expires_of(around) if status in WITHOUT_ERRORS else None


def _written(around: Around) -> str:
    """Returns the words of the line in effect."""
    lines = around.nearest(_LINE)
    words = lines[0].directive.values if lines else (_OFF.encode(),)
    return " ".join(map(values.text, words))


def _after(written: str) -> Toml | None:
    if written == _OFF:
        return None
    if written in _WORDS:
        return _WORDS[written]
    if values.has_variables(written.encode()):
        raise NotExpressibleError("`expires` with a variable has no counterpart")
    if written.startswith("@") or " " in written:
        raise NotExpressibleError(f"`expires {written}` has no counterpart")
    after = values.duration(written.removeprefix("-").encode())
    if after == _OFF:
        return "now"
    if written.startswith("-"):
        return "past"
    return "max" if after == _TEN_YEARS else after


def notes_of(route: Table, around: Around) -> tuple[str, ...]:
    """Returns what differs."""
    after = middleware(route, KIND).get("after")
    if after not in _NOTES or _written(around) in _WORDS:
        return ()
    return (_NOTES[str(after)],)


def to_nginx(route: Table) -> list[Directive]:
    """Returns the line of a route's `expires`; the inverse of `expires_of`."""
    table = middleware(route, KIND)
    if not table:
        return []
    after = str(table["after"])
    return [directive(KIND, Word(_THEIRS.get(after) or values.nginx_time(after)))]
