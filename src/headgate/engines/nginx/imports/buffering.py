"""Converts which bodies of requests nginx collects before it asks an endpoint, and back; and how
much of answers it collects for clients that take them slowly."""

from typing import Final

from headgate.engines.nginx.imports import values
from headgate.engines.nginx.imports.around import Around
from headgate.engines.nginx.imports.objects import Table, Toml, table_in
from headgate.kernel.units import ByteSize
from headgate.nginxtext.tree import Directive
from headgate.nginxtext.writer import Word, directive

KEY: Final = "body_buffer"
RESPONSE_KEY: Final = "response_buffer"
_USUAL: Final = b"16k"
"""nginx's own buffer on machines of 64 bits."""
_MOST: Final = ByteSize.parse("1MiB")
"""The most that a route collects."""
_BUFFERS: Final = (b"8", b"4k")
"""nginx's own buffers of an answer, where pages have 4 KiB."""
_FILE: Final = b"1024m"
"""The most that nginx keeps of an answer in a file by default."""
_MOST_ANSWERS: Final = 16 << 20
"""The most that a route collects of an answer, bytes."""
_PARTS: Final = 4
"""The number of buffers that `to_nginx` makes of it: its other settings must fit beside these."""


def collected(around: Around) -> dict[str, Toml]:
    """Returns `limits.body_buffer` of a route; empty where bodies pass as they come."""
    if around.value(b"proxy_request_buffering", b"on") == b"off":
        return {}
    text = values.size(around.value(b"client_body_buffer_size", _USUAL))
    size = ByteSize.parse(text) if text != "off" else _MOST
    return {KEY: text if 0 < size.bytes <= _MOST.bytes else "1MiB"}


def answers(around: Around) -> dict[str, Toml]:
    """Returns `limits.response_buffer` of a route; empty where answers pass as they come."""
    if around.value(b"proxy_buffering", b"on") == b"off":
        return {}
    found = around.nearest(b"proxy_buffers")
    number, size = found[0].directive.values[:2] if found else _BUFFERS
    in_file = _bytes(around.value(b"proxy_max_temp_file_size", _FILE))
    count = int(number) if number.isdigit() else 0  # nginx refuses it
    most = min(count * _bytes(size) + in_file, _MOST_ANSWERS)
    return {RESPONSE_KEY: str(ByteSize(most - most % _PARTS))}


def _bytes(text: bytes) -> int:
    size = values.size(text)
    return 0 if size == "off" else ByteSize.parse(size).bytes


def notes_of(rest: Table) -> tuple[str, ...]:
    """Returns what differs for a route."""
    limits = table_in(rest, "limits")
    size, of_answer = limits.get(KEY), limits.get(RESPONSE_KEY)
    notes = []
    if size is not None:
        notes.append(
            f"`proxy_request_buffering`: on the native engine bodies above {size} pass as they "
            "come; nginx collects them in a file"
        )
    if of_answer is not None:
        notes.append(
            f"`proxy_buffering`: {of_answer} of an answer are collected for a slow client, in "
            "memory; nginx puts what its buffers do not hold into a file"
        )
    return tuple(notes)


def to_nginx(route: Table) -> list[Directive]:
    """Returns the lines of both; the inverse of `collected` and `answers`."""
    return [*_requests(route), *_answers(route)]


def _answers(route: Table) -> list[Directive]:
    size = table_in(route, "limits").get(RESPONSE_KEY)
    if size is None:
        return [directive("proxy_buffering", Word("off"))]
    part = ByteSize(ByteSize.parse(str(size)).bytes // _PARTS)
    return [
        directive("proxy_buffering", Word("on")),
        directive("proxy_buffers", Word(str(_PARTS)), Word(values.nginx_size(str(part)))),
        directive("proxy_max_temp_file_size", Word("0")),
    ]


def _requests(route: Table) -> list[Directive]:
    size = table_in(route, "limits").get(KEY)
    if size is None:
        return [directive("proxy_request_buffering", Word("off"))]
    return [
        directive("proxy_request_buffering", Word("on")),
        directive("client_body_buffer_size", Word(values.nginx_size(str(size)))),
    ]
