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
    rb"\"(?:\\[^\n]|[^\"\n\\])*+\"|'(?:\\[^\n]|[^'\n\\])*+'"
)


def body_end(data: bytes, start: int) -> int | None:
    """Returns the offset of the `}` that ends the block
    with text from `start`; None without one.

    >>> body_end(b'{ local s = "}" } -- }', 1)
    16
    """
    depth = 1
    at = start
    while found := _TOKEN.search(data, at):
        at = found.end()
        if found.lastgroup == "open":
            depth += 1
        elif found.lastgroup == "close":
            depth -= 1
            if not depth:
                return found.start()
        elif found["long"] is not None:
            closing = b"]" + found["level"] + b"]"
            at = data.find(closing, at) + len(closing)
            if at < len(closing):
                return None
    return None
