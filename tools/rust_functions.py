"""Finds the functions of a Rust source and how long they are, and the fields of its structs.

A scanner, not a parser: it knows comments, strings and characters, and counts braces.
"""

import re
from collections.abc import Iterator
from typing import Final

# What can hide a brace or a quote. A lifetime ('a) is not a character: no quote closes it.
_HIDDEN = re.compile(
    r"""
      //[^\n]*
    | /\*.*?\*/
    | b?r(\#*)".*?"\1
    | b?"(?:\\.|[^"\\])*"
    | b?'(?:\\(?:u\{[0-9a-fA-F_]*\}|x[0-9a-fA-F]{2}|.)|[^'\\\n])'
    """,
    re.VERBOSE | re.DOTALL,
)
_FUNCTION = re.compile(r"\bfn\s+(?:r\#)?([A-Za-z_]\w*)")
_STRUCT = re.compile(r"\bstruct\s+(?:r\#)?([A-Za-z_]\w*)")
_FIELD = re.compile(r"(?:r\#)?[A-Za-z_]\w*\s*:(?!:)")
_OPENING: Final = "([{<"
_CLOSING: Final = ")]}>"


def functions(text: str) -> Iterator[tuple[str, int]]:
    """Yields names and lines (signature to closing brace) of the functions that have a body."""
    code = _HIDDEN.sub(_blank, text)
    for match in _FUNCTION.finditer(code):
        opening = _body(code, match.end())
        if opening is None:
            continue
        closing = _closing(code, opening)
        yield match[1], code.count("\n", match.start(), closing) + 1


def structs(text: str) -> Iterator[tuple[str, int]]:
    """Yields names and counts of fields of the structs that have named fields."""
    code = _HIDDEN.sub(_blank, text)
    for match in _STRUCT.finditer(code):
        opening = _body(code, match.end())
        if opening is not None:
            yield match[1], _fields(code[opening + 1 : _closing(code, opening)])


def _fields(body: str) -> int:
    """Counts colons after a name outside of types, attributes and visibilities."""
    flat, depth = [], 0
    for character in body.replace("->", "  "):
        depth -= character in _CLOSING
        if depth == 0:
            flat.append(character)
        depth += character in _OPENING
    return len(_FIELD.findall("".join(flat)))


def _blank(match: re.Match[str]) -> str:
    """Returns as many empty lines."""
    return "\n" * match[0].count("\n") or " "


def _body(code: str, at: int) -> int | None:
    """Returns where the body opens; None for a declaration. Skips braces in `[u8; { N }]`."""
    depth = 0
    for index in range(at, len(code)):
        character = code[index]
        if character in "([":
            depth += 1
        elif character in ")]":
            depth -= 1
        elif depth == 0 and character == "{":
            return index
        elif depth == 0 and character == ";":
            return None
    return None


def _closing(code: str, opening: int) -> int:
    """Returns where the brace that opens there closes, or the end."""
    depth = 0
    for brace in re.compile(r"[{}]").finditer(code, opening):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return brace.start()
    return len(code)
