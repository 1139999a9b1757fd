"""Knows the Content-Type that nginx gives an answer of `return` by the extension of its path.

nginx asks `types` for the extension first and takes `default_type` for all other paths
(ngx_http_set_content_type in ngx_http_core_module.c).
"""

import re
from collections.abc import Mapping
from typing import Final

from headgate.engines.nginx.imports.around import Around
from headgate.engines.nginx.imports.objects import NotExpressibleError

_FIRST_DOTS: Final = re.compile(r"\A\.{1,3}")

BUILT_IN: Final = {b"html": b"text/html", b"gif": b"image/gif", b"jpg": b"image/jpeg"}
"""The types of an nginx whose config has no `types`."""


def in_effect(around: Around) -> Mapping[bytes, bytes]:
    """Returns the types in effect by extension in lower case.

    Raises `NotExpressibleError` if a file within `types` names more of them.
    """
    blocks = around.nearest(b"types")
    if not blocks:
        return BUILT_IN
    lines = [line for block in blocks for line in block.directive.directives()]
    if any(line.name == b"include" for line in lines):
        raise NotExpressibleError("`types` includes a file")
    return {extension.lower(): line.name for line in lines for extension in line.values}


def extension(path: str) -> bytes:
    """Returns what follows the last dot of a path's last segment, in lower case; empty if none.

    Up to three dots that begin a segment are not counted (ngx_http_parse_complex_uri).
    """
    segment = _FIRST_DOTS.sub("", path.rpartition("/")[2])
    _, dot, after = segment.rpartition(".")
    return after.lower().encode() if dot else b""
