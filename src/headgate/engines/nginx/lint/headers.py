"""Checks headers of answers."""

import re
from collections.abc import Iterator
from typing import Final

from headgate.engines.nginx.lint.check import Found
from headgate.engines.nginx.lint.config import Config
from headgate.nginxtext.includes import Located

_MAX_AGE = re.compile(r"max-age=\"?(\d+)")
_HALF_A_YEAR_S: Final = 15_552_000


def add_header_redefinition(config: Config) -> Iterator[Found]:
    """Finds an `add_header` that drops all that the blocks around it add."""
    done: set[tuple[str, int, int]] = set()
    for seen in config.named("add_header"):
        block = seen.parents[-1] if seen.parents else None
        if block is None or _place(block) in done:
            continue
        done.add(_place(block))
        own = {one.values[0].lower() for one in config.own(block, "add_header") if one.args}
        for outer in reversed(seen.parents[:-1]):
            around = {one.values[0].lower() for one in config.own(outer, "add_header") if one.args}
            if around:
                gone = sorted(name.decode(errors="replace") for name in around - own)
                if gone:
                    yield seen.located, f"the {', '.join(gone)} set around it is not sent here"
                break


def _place(located: Located) -> tuple[str, int, int]:
    return located.file, located.directive.line, located.directive.column


def add_header_multiline(config: Config) -> Iterator[Found]:
    """Finds a header's value over several lines."""
    for seen in config.named("add_header", "more_set_headers"):
        if any("\n" in word or "\r" in word for word in seen.words):
            yield seen.located, "the value has a line end, which no header may have (RFC 9112 §5.2)"


def hsts_header(config: Config) -> Iterator[Found]:
    """Finds Strict-Transport-Security that does not last."""
    for seen in config.named("add_header"):
        if len(seen.words) < 2 or seen.words[0].lower() != "strict-transport-security":  # noqa: PLR2004
            continue
        age = _MAX_AGE.search(seen.words[1])
        if "$" not in seen.words[1] and (age is None or int(age[1]) < _HALF_A_YEAR_S):
            yield seen.located, "max-age is missing or below half a year"


def version_disclosure(config: Config) -> Iterator[Found]:
    """Finds nginx's version in Server headers and error pages."""
    for http in config.named("http"):
        tokens = config.own(http.located, "server_tokens")
        if not any(one.values[:1] in ((b"off",), (b"build",)) for one in tokens):
            yield http.located, "`server_tokens` is on: answers name nginx's version"
            return
    for seen in config.named("server_tokens"):
        if seen.words[:1] == ("on",):
            yield seen.located, "answers name nginx's version"
