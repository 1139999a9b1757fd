"""Checks for regular expressions that match too much or take too long."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from headgate.engines.nginx.lint.check import Found
from headgate.engines.nginx.lint.config import Config, Seen

_GROUP = r"\((?:\?(?:[a-zA-Z-]*:|[a-zA-Z-]+(?=\))|[=!>|]|<[=!]|P?<\w+>|'\w+'))?"
_CLASS = r"\[\^?\]?(?:\\.|\[:\w+:\]|[^\]\\])*\]"
_ATOM = re.compile(rf"\\.|{_CLASS}|{_GROUP}|.", re.DOTALL)
_QUANTIFIER = re.compile(r"[*+?]|\{\d*,?\d*\}")
_REGEX_MODIFIERS: Final = frozenset({"~", "~*"})
_WITH_MODIFIER: Final = 2


def unanchored_regex(config: Config) -> Iterator[Found]:
    """Finds a location that takes any path with its text somewhere in it."""
    for seen in config.named("location"):
        for pattern in _patterns(seen):
            if not pattern.startswith("^") and not pattern.endswith("$"):
                yield seen.located, f"`{pattern}` matches anywhere in a path"


def regex_redos(config: Config) -> Iterator[Found]:
    """Finds a repetition of a repetition: some texts take exponential time."""
    for seen in config.named("location", "rewrite", "if", "server_name"):
        for pattern in _patterns(seen):
            if has_nested_repetition(pattern):
                yield seen.located, f"`{pattern}` repeats a repetition: it can take very long"
    for seen in config.named("map"):
        for line in config.inside(seen.located):
            key = line.directive.name.decode(errors="replace")
            if key.startswith("~") and has_nested_repetition(key.lstrip("~*")):
                yield line, f"`{key}` repeats a repetition: it can take very long"


def _patterns(seen: Seen) -> list[str]:
    words = seen.words
    match seen.name:
        case "location" if len(words) == _WITH_MODIFIER and words[0] in _REGEX_MODIFIERS:
            return [words[1]]
        case "rewrite" if words:
            return [words[0]]
        case "if":
            operators = [
                at for at, word in enumerate(words) if word.lstrip("!") in _REGEX_MODIFIERS
            ]
            return [words[at + 1].removesuffix(")") for at in operators if at + 1 < len(words)]
        case "server_name":
            return [word[1:] for word in words if word.startswith("~")]
        case _:
            return []


class _Part(NamedTuple):
    """A part of a sequence: may it be empty, may it repeat without end."""

    optional: bool
    unbounded: bool


def has_nested_repetition(pattern: str) -> bool:
    """Reports whether a group that repeats
    without end holds nothing but repetitions and options.

    Such a group can split one text in many ways (`(a+)+`, `(\\w+\\s?)*`); one that begins each
    turn with a fixed character cannot (`(/[^/]+)*`).

    >>> has_nested_repetition(r"^(\\w+\\s?)+$"), has_nested_repetition("^(/[^/]+)*$")
    (True, False)
    """
    levels: list[list[list[_Part]]] = [[[]]]
    at = 0
    while at < len(pattern):
        found = _ATOM.match(pattern, at)
        atom = found[0] if found else pattern[at]
        at += len(atom)
        if atom.startswith("("):
            levels.append([[]])
            continue
        branches = None
        if atom == ")" and len(levels) > 1:
            branches = levels.pop()
        elif atom == "|":
            levels[-1].append([])
            continue
        quantifier = _QUANTIFIER.match(pattern, at)
        text = quantifier[0] if quantifier else ""
        at += len(text)
        part = _Part(text.startswith(("?", "*", "{0")), text in ("*", "+") or text.endswith(",}"))
        if branches and part.unbounded and any(_splits(branch) for branch in branches):
            return True
        levels[-1][-1].append(_whole(branches, part) if branches else part)
    return False


def _whole(branches: list[list[_Part]], part: _Part) -> _Part:
    """Returns a group as a part of what it stands in."""
    grows = any(
        all(p.unbounded or p.optional for p in b) and any(p.unbounded for p in b) for b in branches
    )
    return _Part(part.optional, part.unbounded or grows)


def _splits(branch: list[_Part]) -> bool:
    """Reports whether a branch can be read as any number of turns of itself."""
    return any(part.unbounded for part in branch) and all(
        part.unbounded or part.optional for part in branch
    )
