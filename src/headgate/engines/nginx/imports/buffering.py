"""Converts which bodies of requests nginx collects before it asks an endpoint, and back."""

from typing import Final

from headgate.engines.nginx.imports import values
from headgate.engines.nginx.imports.around import Around
from headgate.engines.nginx.imports.objects import Table, Toml, table_in
from headgate.kernel.units import ByteSize
from headgate.nginxtext.tree import Directive
from headgate.nginxtext.writer import Word, directive

KEY: Final = "body_buffer"
_USUAL: Final = b"16k"
"""nginx's own buffer on machines of 64 bits."""
_MOST: Final = ByteSize.parse("1MiB")
"""The most that a route collects."""


def collected(around: Around) -> dict[str, Toml]:
    """Returns `limits.body_buffer` of a route; empty where bodies pass as they come."""
    if around.value(b"proxy_request_buffering", b"on") == b"off":
        return {}
    text = values.size(around.value(b"client_body_buffer_size", _USUAL))
    size = ByteSize.parse(text) if text != "off" else _MOST
    return {KEY: text if 0 < size.bytes <= _MOST.bytes else "1MiB"}


def notes_of(rest: Table) -> tuple[str, ...]:
    """Returns what differs for a route."""
    size = table_in(rest, "limits").get(KEY)
    if size is None:
        return ()
    return (
        f"`proxy_request_buffering`: on the native engine bodies above {size} pass as they come; "
        "nginx collects them in a file",
    )


def to_nginx(route: Table) -> list[Directive]:
    """Returns the lines of a route's `limits.body_buffer`; the inverse of `collected`."""
    size = table_in(route, "limits").get(KEY)
    if size is None:
        return [directive("proxy_request_buffering", Word("off"))]
    return [
        directive("proxy_request_buffering", Word("on")),
        directive("client_body_buffer_size", Word(values.nginx_size(str(size)))),
    ]
