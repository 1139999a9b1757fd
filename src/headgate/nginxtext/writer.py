"""Writes all nginx text that headgate produces.

The type of a value says what it means (`Literal`, `Regex`, `FilePath` …); the writer quotes it for
that, so that nginx reads back exactly this value and no value becomes a directive, a variable or a
second line. It refuses with `UnsafeValueError` what no quoting makes harmless.

Rules: nginx's `ngx_conf_read_token` undoes `\\\\`, `\\"`, `\\n`, `\\r` and `\\t` inside quotes and
knows no way to write a plain `$` where variables are evaluated; `geo $hg_dollar { default "$"; }`
(`dollar()`), rendered once in `http`, is that way.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from headgate.nginxtext.lexer import value_of
from headgate.nginxtext.tree import Argument, Comment, Directive, Node, Space

LONGEST: Final = 4000
"""The length of a written word; nginx's own limit is its read buffer of 4096."""

OPERATORS: Final = frozenset({"=", "!=", "~", "~*", "!~", "!~*", "^~", "(", ")", "-f", "!-f"})

DOLLAR: Final = "hg_dollar"
"""The variable whose value is a dollar sign."""

_NAME = re.compile(r"[a-z0-9_]+")
_VARIABLE = re.compile(r"[1-9]|[a-z_][a-z0-9_]*")
_WORD = re.compile(r"[A-Za-z0-9_.:/*=,+@%!\[\]-]+")
_PLAIN = re.compile(rb"[A-Za-z0-9_.:/*=,+@%!~^|()?&<>-][A-Za-z0-9_.:/*=,+@%!~^|()?&<>\[\]-]*")
_INDENT = b"    "


class UnsafeValueError(ValueError):
    """A value that cannot be written as data; the message says why, without the value."""


@dataclass(frozen=True, slots=True)
class Literal:
    """Data where nginx evaluates variables: a header's value, a body, a key.

    `lines` allows tabs, CR and LF (a body); elsewhere they are refused.
    """

    text: str
    lines: bool = False


@dataclass(frozen=True, slots=True)
class Plain:
    """Data where nginx evaluates no variables (`location`, `server_name`): `$` is itself."""

    text: str


@dataclass(frozen=True, slots=True)
class Word:
    """A word or number of our own; raises `ValueError` for any other text."""

    text: str

    def __post_init__(self) -> None:
        if not _WORD.fullmatch(self.text):
            raise ValueError(f"{self.text!r} is not a word of ours")


@dataclass(frozen=True, slots=True)
class Op:
    """A modifier of `location`, an operator or a parenthesis of `if`: one of `OPERATORS`."""

    text: str

    def __post_init__(self) -> None:
        if self.text not in OPERATORS:
            raise ValueError(f"{self.text!r} is not an operator")


@dataclass(frozen=True, slots=True)
class Var:
    """A variable by its name without `$`, or a capture `1` … `9`."""

    name: str

    def __post_init__(self) -> None:
        if not _VARIABLE.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is not a variable's name")


@dataclass(frozen=True, slots=True)
class Template:
    """Data and variables in one word; text is treated as `Literal` treats it."""

    parts: tuple[str | Var, ...]
    lines: bool = False


@dataclass(frozen=True, slots=True)
class Regex:
    """A regular expression, exactly as PCRE is to see it. Not where variables are evaluated."""

    text: str


@dataclass(frozen=True, slots=True)
class FilePath:
    """A path of a file; without `$`, since some directives evaluate variables in paths."""

    text: str


@dataclass(frozen=True, slots=True)
class MapKey:
    """A source value of `map` that is compared literally: never `default`, a regex or `include`."""

    text: str


Arg = Literal | Plain | Word | Op | Var | Template | Regex | FilePath | MapKey


def directive(name: str, *args: Arg, children: Sequence[Node] | None = None) -> Directive:
    """Returns a directive, a block if there are children (an empty sequence is an empty block).

    Raises `ValueError` for a name that is not one of nginx's, `UnsafeValueError` for a value
    that cannot be written.

    >>> render([directive("return", Word("200"), Literal("a; $b"))])
    b'return 200 "a; ${hg_dollar}b";\\n'
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a directive's name")
    return _node(Argument(name.encode(), name.encode()), args, children)


def entry(key: Arg, *args: Arg | Argument) -> Directive:
    """Returns a line of `map`, `split_clients`, `geo` or `types`, which begins with a value.

    An `Argument` is a word that was written already.
    """
    words = tuple([arg if isinstance(arg, Argument) else argument(arg) for arg in args])
    head = argument(key)
    return Directive(name=head.value, args=words, name_raw=head.raw)


def comment(text: str) -> Comment:
    """Returns a comment line. Raises `UnsafeValueError` if the text has line ends
    or other controls.
    """
    _refuse_controls(text, lines=False)
    data = b"# " + _encoded(text)
    _refuse_long(data)
    return Comment(data.rstrip())


def dollar() -> Directive:
    """Returns the block that makes `$` in a `Literal` possible;
    put it once into `http` (and `stream`).
    """
    default = Argument(b'"$"', b"$")
    return directive("geo", Var(DOLLAR), children=[Directive(b"default", (default,))])


def if_(variable: Var, operator: str, value: Arg, *, children: Sequence[Node]) -> Directive:
    """Returns `if ($variable OPERATOR value) { … }` of the rewrite module."""
    words = (Op("("), variable, Op(operator), value, Op(")"))
    return directive("if", *words, children=children)


@lru_cache(maxsize=8192)  # most words of a config repeat
def argument(arg: Arg) -> Argument:
    """Returns the word that nginx reads as this value; raises `UnsafeValueError`."""
    raw = _raw(arg)
    _refuse_long(raw)
    return Argument(raw, value_of(raw))


def render(nodes: Sequence[Node]) -> bytes:
    """Returns the text of nodes, newly indented: one directive a line, words as they are; equal
    nodes, equal bytes. Space nodes are left out; comments between words and Lua bodies stay as
    written.
    """
    out: list[bytes] = []
    stack = [iter(nodes)]
    while stack:
        indent = _INDENT * (len(stack) - 1)
        for node in stack[-1]:
            if isinstance(node, Space):
                continue
            out.append(indent)
            if isinstance(node, Comment):
                out.append(node.text.rstrip(b"\r") + b"\n")
            elif node.children is None:
                out.append(_line(node))
            else:
                out.append(_line(node))
                stack.append(iter(node.children))
                break
        else:
            stack.pop()
            if stack:
                out.append(_INDENT * (len(stack) - 1) + b"}\n")
    return b"".join(out)


def _line(node: Directive) -> bytes:
    """Returns a directive up to the end of its line, or of its `{`."""
    words = [node.name_raw or node.name]
    for one in node.args:
        words += [one.before if b"#" in one.before else b" ", one.raw]
    if b"#" in node.before_end:
        words.append(node.before_end)
    if node.children is not None:
        return b"".join(words) + b" {\n"
    if node.body is not None:
        return b"".join(words) + b" {" + node.body + b"}\n"
    return b"".join(words) + b";\n"


def _node(head: Argument, args: Sequence[Arg], children: Sequence[Node] | None) -> Directive:
    return Directive(
        name=head.value,
        args=tuple([argument(arg) for arg in args]),
        children=None if children is None else tuple(children),
        name_raw=head.raw,
    )


def _raw(arg: Arg) -> bytes:
    """Returns the word as written."""
    if isinstance(arg, Word | Op):
        return arg.text.encode()
    if isinstance(arg, Var):
        return b"$" + arg.name.encode()
    return _quoted(_content(arg))


def _content(arg: Literal | Template | Plain | Regex | MapKey | FilePath) -> bytes:
    """Returns what stands between the quotes."""
    match arg:
        case Literal():
            return _inert(arg.text, lines=arg.lines)
        case Template():
            return b"".join(_part(part, lines=arg.lines) for part in arg.parts)
        case Plain() | Regex():
            return _escaped(arg.text)
        case MapKey():
            return _escaped("\\" + arg.text)
        case FilePath():
            if not arg.text:
                raise UnsafeValueError("a file's path is empty")
            if "$" in arg.text:
                raise UnsafeValueError("a file's path contains a dollar sign")
            return _escaped(arg.text)


def _part(part: str | Var, *, lines: bool) -> bytes:
    if isinstance(part, str):
        return _inert(part, lines=lines)
    if part.name.isdigit():
        return b"$" + part.name.encode()
    return b"${" + part.name.encode() + b"}"


def _inert(text: str, *, lines: bool) -> bytes:
    """Returns escaped text without variables."""
    return _escaped(text, lines=lines).replace(b"$", b"${" + DOLLAR.encode() + b"}")


def _escaped(text: str, *, lines: bool = False) -> bytes:
    """Returns text for inside double quotes."""
    _refuse_controls(text, lines=lines)
    data = _encoded(text).replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return data.replace(b"\n", b"\\n").replace(b"\r", b"\\r").replace(b"\t", b"\\t")


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise UnsafeValueError("it holds half of a character (a lone surrogate)") from None


def _refuse_controls(text: str, *, lines: bool) -> None:
    for char in text if not text.isprintable() else "":
        if unicodedata.category(char) == "Cc" and not (lines and char in "\t\r\n"):
            raise UnsafeValueError(f"it holds the control character U+{ord(char):04X}")


def _refuse_long(raw: bytes) -> None:
    if len(raw) > LONGEST:
        raise UnsafeValueError(f"it takes {len(raw)} bytes; nginx reads words of up to {LONGEST}")


def _quoted(escaped: bytes) -> bytes:
    """Returns text in quotes unless it clearly needs none."""
    return escaped if _PLAIN.fullmatch(escaped) else b'"' + escaped + b'"'
