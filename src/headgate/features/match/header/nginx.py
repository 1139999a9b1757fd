"""`headers` in nginx: maps of `$http_…`."""

from typing import Final

from headgate.features.nginx import (
    GIVES_UP,
    HEADER_ALLOWED,
    About,
    Entry,
    Parity,
    Shared,
    quoted,
    unnamed,
    whole,
)
from headgate.nginxtext.writer import Regex, Var, Word
from headgate.plan.objects import ValueMatch

_EMPTY: Final = "a header that is there but empty counts as absent"
_LINES: Final = "nginx before 1.23 looks at the first line of a repeated header only"

PARITY: Final = (
    Parity("routes.NAME.match[].headers.NAME.exact", "differs", f'{_LINES}; `""` is refused'),
    Parity("routes.NAME.match[].headers.NAME.prefix", "differs", _LINES),
    Parity("routes.NAME.match[].headers.NAME.regex", "differs", f"{_LINES}; {_EMPTY}; {GIVES_UP}"),
    Parity("routes.NAME.match[].headers.NAME.present", "differs", _EMPTY),
    Parity("routes.NAME.match[].headers.NAME.absent", "differs", _EMPTY),
)

_ONE: Final = Word("1")
_ZERO: Final = Word("0")


def condition(name: str, rule: ValueMatch, shared: Shared, about: About) -> Var | None:
    """Returns a variable that is `1` when the header's value fits; None when that was refused."""
    # One of nothing but blanks is there.
    is_raw = rule.regex is None and not (rule.exact or rule.prefix)
    variable = shared.request_header(name) if is_raw else shared.header_value(name)
    if variable is None:
        about.refuse("", HEADER_ALLOWED)
        return None
    return value_condition(f"header_{name}", variable, rule, shared, about)


def value_condition(
    hint: str, variable: Var, rule: ValueMatch, shared: Shared, about: About
) -> Var | None:
    """Returns the same for any variable that is empty without a value."""
    if rule.exact == "":
        about.refuse("exact", "nginx cannot tell an empty value from one that is not there")
        return None
    entries, default = _entries(rule)
    made = shared.map if rule.regex is None else shared.judged
    return made(hint, variable, entries, default)


def _entries(rule: ValueMatch) -> tuple[tuple[Entry, ...], Word]:
    if rule.absent:
        return ((Regex("~."), _ZERO),), _ONE
    if rule.exact is not None:
        return ((whole(quoted(rule.exact)), _ONE),), _ZERO
    if rule.prefix:
        return ((Regex(rf"~\A{quoted(rule.prefix)}"), _ONE),), _ZERO
    if rule.regex is not None:
        text, _ = unnamed(rule.regex)
        # Not an empty value, which may be none at all.
        return ((Regex(rf"~\A(?=.)(?:{text})\z"), _ONE),), _ZERO
    return ((Regex("~."), _ONE),), _ZERO
