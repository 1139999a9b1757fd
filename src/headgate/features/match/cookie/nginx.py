"""`cookies` in nginx: maps of `$http_cookie`."""

from collections.abc import Iterator
from typing import Final

from headgate.features.expressions import takes_empty
from headgate.features.nginx import GIVES_UP, Parity, Shared, quoted, unnamed, whole
from headgate.features.nginx_cookie_values import COOKIES, cookie_start, cookie_value
from headgate.nginxtext.writer import Literal, Regex, Var, Word
from headgate.plan.objects import ValueMatch

PARITY: Final = (
    *(
        Parity(f"routes.NAME.match[].cookies.NAME.{key}", "same")
        for key in ("exact", "prefix", "present", "absent")
    ),
    Parity("routes.NAME.match[].cookies.NAME.regex", "differs", GIVES_UP),
)

_ONE: Final = Word("1")
_ZERO: Final = Word("0")
_EMPTY: Final = Literal("")


def condition(name: str, rule: ValueMatch, shared: Shared) -> Var:
    """Returns a variable that is `1` when the first cookie of that name fits."""
    found, otherwise = (_ZERO, _ONE) if rule.absent else (_ONE, _ZERO)
    start = Regex(f"~{cookie_start(name)}")
    is_there = shared.map(f"cookie_{name}", COOKIES, ((start, found),), otherwise)
    if rule.absent or rule.present:
        return is_there
    # An empty value is that of an empty cookie, or none at all.
    entries = tuple((fits, is_there) for fits in _fits(rule))
    made = shared.map if rule.regex is None else shared.judged
    return made(f"cookie_{name}", cookie_value(name, shared), entries, _ZERO)


def _fits(rule: ValueMatch) -> Iterator[Literal | Regex]:
    """Yields the keys of a map for the values that fit.

    nginx tries no expression on an empty value, which therefore has a key of its own.
    """
    if rule.exact is not None:
        yield whole(quoted(rule.exact)) if rule.exact else _EMPTY
    elif rule.prefix is not None:
        yield Regex(rf"~\A{quoted(rule.prefix)}")
        if not rule.prefix:
            yield _EMPTY
    elif rule.regex is not None:
        yield whole(unnamed(rule.regex)[0])
        if takes_empty(rule.regex):
            yield _EMPTY
