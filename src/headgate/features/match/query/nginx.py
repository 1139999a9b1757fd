"""`query` in nginx: maps of `$args`, with expressions that read percent-encodings as we do.

`$arg_…` does not suffice: it compares names without case and as sent.
"""

from typing import Final

from headgate.features.match.query.encoded import encoded_regex, encoded_text
from headgate.features.nginx import GIVES_UP, About, Parity, Shared
from headgate.nginxtext.writer import Regex, Var, Word
from headgate.plan.objects import ValueMatch

PARITY: Final = (
    Parity("routes.NAME.match[].query.NAME.exact", "same"),
    Parity("routes.NAME.match[].query.NAME.prefix", "same"),
    Parity(
        "routes.NAME.match[].query.NAME.regex",
        "differs",
        "an expression with a word boundary, an anchor inside or a flag is refused: it cannot be "
        f"made one of the value as it is encoded; {GIVES_UP}",
    ),
    Parity("routes.NAME.match[].query.NAME.present", "same"),
    Parity("routes.NAME.match[].query.NAME.absent", "same"),
)

_ONE: Final = Word("1")
_ZERO: Final = Word("0")
_END: Final = r"(?=&|\z)"


def condition(name: str, rule: ValueMatch, shared: Shared, about: About) -> Var | None:
    """Returns a variable that is `1` when the parameter's first value fits; None when refused."""
    key = encoded_text(name)
    # An empty piece between two `&` holds no parameter, not even one with an empty name.
    own = rf"{key}(?:=|{_END})" if name else "="
    before = rf"\A(?:(?!{own})[^&]*&)*+"
    if rule.absent or rule.present:
        found, otherwise = (_ZERO, _ONE) if rule.absent else (_ONE, _ZERO)
        entries = ((Regex(f"~{before}{own}"), found),)
        return shared.map(f"query_{name}", Var("args"), entries, otherwise)
    value = _value(rule, about)
    if value is None:
        return None
    # A parameter without `=` is one with an empty value.
    with_empty = rf"(?:=|(?=&|\z)){value}" if name else rf"={value}"
    entries = ((Regex(f"~{before}{key}{with_empty}"), _ONE),)
    made = shared.map if rule.regex is None else shared.judged
    return made(f"query_{name}", Var("args"), entries, _ZERO)


def _value(rule: ValueMatch, about: About) -> str | None:
    """Returns an expression for the value as the client sent it, up to its end."""
    if rule.exact is not None:
        return encoded_text(rule.exact) + _END
    if rule.prefix is not None:
        return encoded_text(rule.prefix)
    text = encoded_regex(rule.regex or "")
    if text is None:
        about.refuse("regex", "nginx sees the value percent-encoded; this expression cannot be")
        return None
    return f"(?:{text}){_END}"
