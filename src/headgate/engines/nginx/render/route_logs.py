"""Renders the condition of the access log: which requests of each route are in it.

A map gives each route a word, by chance where a share is logged: `all`, or the name of a choice by
status and time. A second map reads that word, `$status` and `$request_time`, which nginx knows in
milliseconds.
"""

from typing import Final

from headgate.engines.nginx.render.context import Context
from headgate.engines.nginx.render.forwarded import request_id
from headgate.features.nginx import Entry, quoted, whole
from headgate.features.statuses import expression
from headgate.nginxtext.writer import Arg, Regex, Template, Var, Word
from headgate.plan.objects import Observed

_EVERYTHING: Final = 100
_ERRORS: Final = Observed()
_NOTHING: Final = Observed(access_log_statuses=())
_SECOND: Final = 1000


def condition(ctx: Context) -> tuple[Arg, ...]:
    """Returns the `if` of the log of the config; nothing if every request is in it."""
    words: dict[Observed, Word] = {}
    shares: list[Entry] = []
    for name, route in ctx.routes.items():
        percent = route.observed.access_log_percent
        if percent == _EVERYTHING:
            continue
        rest = _word(route.observed, words)
        if percent:
            parts = ((f"{percent}%", Word("all")), ("*", rest))
            drawn = ctx.shared.split("log_share", request_id(ctx), parts)
            shares.append((whole(quoted(name)), drawn))
        else:
            shares.append((whole(quoted(name)), rest))
    if not shares:
        return ()
    share = ctx.shared.map("log_share", Var("hg_route"), shares, Word("all"))
    entries = [(Regex("~^all:"), Word("1"))]
    entries += [(one, Word("1")) for kept, word in words.items() for one in _fitting(kept, word)]
    key = Template((share, ":", Var("status"), ":", Var("request_time")))
    logged = ctx.shared.map("logged", key, entries, Word("0"))
    return (Template(("if=", logged)),)


def _word(observed: Observed, words: dict[Observed, Word]) -> Word:
    """Returns the word of the requests that a route logs besides its share."""
    kept = Observed(
        access_log_statuses=observed.access_log_statuses,
        access_log_slower_ms=observed.access_log_slower_ms,
    )
    if kept == _NOTHING:
        return Word("none")
    return words.setdefault(kept, Word("errors" if kept == _ERRORS else f"kept{len(words)}"))


def _fitting(kept: Observed, word: Word) -> list[Regex]:
    found: list[Regex] = []
    if kept.access_log_statuses:
        statuses = "|".join(map(expression, kept.access_log_statuses))
        found.append(Regex(f"~^{word.text}:(?:{statuses}):"))
    if kept.access_log_slower_ms is not None:
        found.append(Regex(f"~^{word.text}:[^:]*:(?:{at_least(kept.access_log_slower_ms)})$"))
    return found


def at_least(milliseconds: int) -> str:
    """Returns a regular expression of seconds, with three decimals, that are at least so long."""
    whole_s, rest = str(milliseconds // _SECOND), f"{milliseconds % _SECOND:03d}"
    greater = "|".join((f"[1-9][0-9]{{{len(whole_s)},}}", *_above(whole_s)))
    same = "|".join((rest, *_above(rest)))
    return rf"(?:{greater})\.[0-9]{{3}}|{whole_s}\.(?:{same})"


def _above(digits: str) -> list[str]:
    """Returns regular expressions of the numbers above one, in as many digits."""
    return [
        f"{digits[:at]}[{int(digit) + 1}-9][0-9]{{{len(digits) - at - 1}}}"
        for at, digit in enumerate(digits)
        if digit != "9"
    ]
