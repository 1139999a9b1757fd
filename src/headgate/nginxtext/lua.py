"""Finds where a Lua block ends.

lua-nginx-module takes the text after the `{` of a `*_by_lua_block` from nginx's own lexer and
counts braces by Lua's rules: not those in strings, comments and long brackets (its
`util/gen-lexer-c` and `ngx_http_lua_conf_lua_block_parse`, whose expressions these are).
"""

import re
from typing import Final

SUFFIX: Final = b"_by_lua_block"
"""The suffix of directives with a Lua block."""

_TOKEN = re.compile(
    rb"(?P<open>\{)|(?P<close>\})|(?P<long>(?:--)?\[(?P<level>=*)\[)|\]=*\]|--[^\n]*|"
    rb"(?P<quote>[\"'])"
)
_REST: Final = {
    b'"': re.compile(rb"(?:\\[^\n]|[^\"\n\\])*+\""),
    b"'": re.compile(rb"(?:\\[^\n]|[^'\n\\])*+'"),
}
"""The text of a string behind its quote."""


def body_end(data: bytes, start: int) -> int | None:
    """Returns the offset of the `}` that ends the block
    with text from `start`; None without one. Linear in time.

    >>> body_end(b'{ local s = "}" } -- }', 1)
    16
    """
    depth = 1
    at = start
    strings = _Strings(data)
    while found := _TOKEN.search(data, at):
        at = found.end()
        if found.lastgroup == "open":
            depth += 1
        elif found.lastgroup == "close":
            depth -= 1
            if not depth:
                return found.start()
        elif found.lastgroup == "quote":
            at = strings.end(found[0], at)
        elif found["long"] is not None:
            closing = b"]" + found["level"] + b"]"
            at = data.find(closing, at) + len(closing)
            if at < len(closing):
                return None
    return None


class _Strings:
    """Strings in quotes, each read once.

    A quote without a second one on its line begins nothing. All further quotes of its kind on the
    line are behind a backslash, so that they would be read in the same way: they begin nothing
    either.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._unclosed_to = dict.fromkeys(_REST, 0)

    def end(self, quote: bytes, at: int) -> int:
        """Returns the offset behind the string with text from `at`; `at` if it does not end."""
        if at <= self._unclosed_to[quote]:
            return at
        if found := _REST[quote].match(self._data, at):
            return found.end()
        line_end = self._data.find(b"\n", at)
        self._unclosed_to[quote] = len(self._data) if line_end < 0 else line_end
        return at
