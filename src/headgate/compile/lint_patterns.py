"""Warns of texts in matches that read like patterns but compare as plain text, and of expressions
that take less than they seem to.
"""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from headgate.plan.plan import PlanEntry

Found = tuple[tuple[str | int, ...], str, str, str]
"""The place in the route, the text there, what is wrong, what to write instead."""

_SHORTHAND = re.compile(r"\\[dDwWsSbB]|\[[^\]]+\][+*?]|\.[*+]|\([^)]*\)[+*?]|\(\?")
"""Characters that only make sense in an expression."""


class _Text(msgspec.Struct, gc=False):
    exact: str | None = None
    prefix: str | None = None
    regex: str | None = None


class _Match(msgspec.Struct, gc=False):
    path: _Text | None = None
    headers: dict[str, _Text] = {}
    cookies: dict[str, _Text] = {}
    query: dict[str, _Text] = {}


class _Matches(msgspec.Struct, gc=False):
    """The texts of a route's matches, and nothing else of it: a plan can have ten thousand."""

    match: list[_Match] = []


_DECODER: Final = msgspec.json.Decoder(_Matches)
_SUSPECT: Final = re.compile(rb"[*+^$]|\\\\|\(\?")


def patterns(route: PlanEntry) -> Iterator[Found]:
    """Yields the suspicious texts in the matches of a route."""
    if b'"match"' not in route.canonical or _SUSPECT.search(route.canonical) is None:
        return
    for index, match in enumerate(_DECODER.decode(route.canonical).match):
        if match.path is not None:
            yield from _path(match.path, ("match", index, "path"))
        named = (("headers", match.headers), ("cookies", match.cookies), ("query", match.query))
        for kind, conditions in named:
            for name, text in conditions.items():
                yield from _value(text, ("match", index, kind, name))


def _path(path: _Text, at: tuple[str | int, ...]) -> Iterator[Found]:
    for key, text in (("exact", path.exact), ("prefix", path.prefix)):
        if text is None or not ("*" in text or _SHORTHAND.search(text)):
            continue
        if text.endswith("/*") and "*" not in text[:-1]:
            allowed = f'write `prefix = "{text[:-2] or "/"}"` for it and everything below'
        else:
            allowed = "write `regex` for an expression"
        what = f'"{text}" is compared as it stands, with its special characters'
        yield (*at, key), text, what, allowed
    if path.regex is not None:
        yield from _expression(path.regex, (*at, "regex"))


def _expression(regex: str, at: tuple[str | int, ...]) -> Iterator[Found]:
    """Yields misread expressions: one takes whole paths, so `^/api` is `/api` alone,
    and `/*` repeats `/`.
    """
    if re.search(r"/[*+](?!\?)", regex):
        begin = regex.partition("/*")[0] or ""
        what = "`/*` and `/+` repeat the slash alone"
        yield (
            at,
            regex,
            what,
            f'write "{begin}/.*" for everything below' if begin else 'write "/.*"',
        )
    elif regex.startswith("^") and not regex.endswith(("$", ".*", ".+")):
        what = "the expression takes whole paths, not those that begin like it"
        yield at, regex, what, f'write "{regex.removeprefix("^")}.*", or use `prefix`'


def _value(text: _Text, at: tuple[str | int, ...]) -> Iterator[Found]:
    for key, plain in (("exact", text.exact), ("prefix", text.prefix)):
        if plain is not None and _SHORTHAND.search(plain):
            what = "the text reads like an expression and is compared as it stands"
            yield (*at, key), plain, what, "write `regex` for an expression"
