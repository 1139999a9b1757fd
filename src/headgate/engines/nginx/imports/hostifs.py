"""Reads `if ($host = NAME) { return … }` in a server, as certbot writes it.

nginx runs these before it looks for a location (ngx_http_rewrite_module), so that such a line is a
route of that host above all others of its server.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from headgate.nginxtext.includes import Located
from headgate.nginxtext.tree import Directive

_CONDITION: Final = re.compile(rb"\(\s*\$host\s*=\s*([a-z0-9.-]+)\s*\)")
_BEFORE: Final = frozenset({b"break", b"return", b"rewrite"})
"""The lines that may end a request before an `if` below them is asked."""


def asked_by(line: Directive) -> str:
    """Returns the host that a line asks for; empty if it does anything but return then."""
    if line.name != b"if" or [one.name for one in line.directives()] != [b"return"]:
        return ""
    found = _CONDITION.fullmatch(b" ".join(line.values))
    return found[1].decode() if found else ""


def blocks_of(lines: Iterable[Located], names: Sequence[str]) -> list[Located]:
    """Returns the blocks that ask for one of a server's names, the first of each name.

    A name in another letter case never equals `$host`, which nginx writes in lower case.
    """
    found: dict[str, Located] = {}
    for line in lines:
        if line.directive.name in _BEFORE:
            break
        asked = asked_by(line.directive)
        if asked in names:
            found.setdefault(asked, line)
    return list(found.values())
