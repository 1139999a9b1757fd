"""Texts with a NUL character: no path, name or header can hold one, and C code ends there. Pure."""

import re
from collections.abc import Iterator
from typing import Final

from headgate.kernel.diagnostics import ConfigPath
from headgate.model.problems import Problem

MAY_HOLD: Final = re.compile(rb"\x00|\\(?:0|x00|u0000|U00000000)")
"""The forms of a NUL character in the text of a document of any format."""


def nuls(node: object, at: ConfigPath) -> Iterator[Problem]:
    """Yields a problem for each text and key below `at` that holds one."""
    if isinstance(node, str) and "\0" in node:
        yield Problem(at, "the text holds a NUL character", "write it without")
    elif isinstance(node, list):
        for index, item in enumerate(node):
            yield from nuls(item, (*at, index))
    elif isinstance(node, dict):
        for key, item in node.items():
            if "\0" in str(key):
                yield Problem(at, "a key in it holds a NUL character", "write it without")
            else:
                yield from nuls(item, (*at, str(key)))
