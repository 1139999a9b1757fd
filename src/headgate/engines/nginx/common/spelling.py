"""Spells the texts of a plan as the files of nginx have them: to find a secret there. Pure."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from headgate.features.match.query.encoded import encoded_text
from headgate.features.nginx import quoted
from headgate.nginxtext.writer import Arg, Literal, Plain, UnsafeValueError, argument

_SHORTEST: Final = 4
_VARIABLE: Final = re.compile(r"\$(?:\$|\{[^}]*\})")


def spellings(texts: Iterable[str]) -> frozenset[str]:
    """Returns the texts, and every form in which a file of nginx has them, or the parts of those
    that are templates: as data, as an expression, and as one for what a query has encoded.

    >>> {"pa$word", "pa${hg_dollar}word"} <= spellings(["pa$$word"])
    True
    """
    found: set[str] = set()
    for text in filter(None, texts):
        found.add(text)
        for one in {text, *_parts(text)}:
            found |= {one, *_written(one)}
    return frozenset(found)


def _parts(template: str) -> Iterator[str]:
    """Yields what a template has between its variables, without what is too short to be one's
    secret."""
    plain = _VARIABLE.sub(lambda found: "$" if found[0] == "$$" else "\0", template)
    parts = plain.split("\0")
    yield from parts if len(parts) == 1 else (one for one in parts if len(one) >= _SHORTEST)


def _written(text: str) -> Iterator[str]:
    """Yields what stands between quotes for this text; nothing for what cannot be written."""
    args: list[Arg] = [Literal(text, lines=True), Plain(text)]
    try:
        args += [Plain(quoted(text)), Plain(encoded_text(text))]
    except UnicodeEncodeError:
        return
    for arg in args:
        try:
            raw = argument(arg).raw.decode()
        except UnsafeValueError:
            continue
        yield raw[1:-1] if raw.startswith('"') else raw
