"""Converts `access_log off` to the switch of routes."""

from collections.abc import Sequence
from typing import Final

from headgate.engines.nginx.imports.around import Around
from headgate.engines.nginx.imports.objects import Table, Toml
from headgate.nginxtext.includes import Located
from headgate.nginxtext.tree import Directive
from headgate.nginxtext.writer import Word, directive

NAME: Final = b"access_log"
KEY: Final = "access_log"


def is_off(lines: Sequence[Located]) -> bool:
    """Reports whether the `access_log` lines of one block say that nothing is logged."""
    return any(one.directive.values == (b"off",) for one in lines)


def silenced(lines: Sequence[Located], file: str) -> tuple[Directive, ...]:
    """Returns the lines of a block, in its own file, that become the switch of its route."""
    return tuple(
        one.directive
        for one in lines
        if one.file == file and one.directive.name == NAME and is_off([one])
    )


def switch(around: Around) -> dict[str, Toml]:
    """Returns the key of a route whose requests have no lines, because its location or its server
    says so; an empty table for others.
    """
    return {KEY: False} if is_off(_nearest(around)) else {}


def switched_off(route: Table) -> list[Directive]:
    """Returns the lines of a location for its route."""
    return [directive("access_log", Word("off"))] if route.get(KEY) is False else []


def _nearest(around: Around) -> Sequence[Located]:
    """Returns the lines below `http` that count for a place."""
    return next((found for level in around.levels[:-1] if (found := level.named(NAME))), ())


def notes_of(around: Around) -> tuple[str, ...]:
    """Returns how the lines of a place that forwards differ, whatever they say."""
    asks = around.nearest(b"auth_request") or around.nearest(b"mirror")
    if asks and around.value(b"log_subrequest", b"off") == b"on":
        return ("`log_subrequest`: what `auth_request` and `mirror` ask has no lines here",)
    return ()
