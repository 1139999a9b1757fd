"""Writes the request of a check and judges its answer; the sockets are the caller's."""

import asyncio
import re
from typing import Final, NamedTuple

from headgate.plan.objects import HttpCheck

_BODY: Final = 64 * 1024
"""The first bytes of a body in which a text is looked for."""

_INTERIM: Final = 16
_CHUNK: Final = 16 * 1024
_FIRST: Final = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: [^\r\n\0]*)?")
_LINE: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([^\0\r\n]*)")
_NO_BODY: Final = (204, 304)


class Failure(NamedTuple):
    """The failure of a check: the word of the reason, and what it found, as a clause."""

    reason: str
    found: str


class _BrokenError(Exception):
    """The answer breaks HTTP; says how."""


class _Head(NamedTuple):
    status: int
    fields: dict[bytes, bytes]


def request(check: HttpCheck, authority: str) -> bytes:
    """Returns the request; `authority` is Host where the check names none."""
    lines = [f"{check.method} {check.path} HTTP/1.1", f"Host: {check.host or authority}"]
    lines += [f"{name}: {value}" for name, value in check.headers.items()]
    if not any(name.lower() == "user-agent" for name in check.headers):
        lines.append("User-Agent: headgate-check")
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode()


async def judged(check: HttpCheck, reader: asyncio.StreamReader) -> Failure | None:
    """Reads an answer as far as it takes; None = the check passed. Raises OSError."""
    try:
        head = await _final(reader)
        if not any(first <= head.status <= last for first, last in check.statuses):
            return Failure("check-status", f"the status is {head.status}")
        if check.body is None:
            return None
        return await _searched(check, head, reader)
    except _BrokenError as error:
        return Failure("check-protocol", str(error))
    except asyncio.LimitOverrunError:
        return Failure("check-protocol", "the answer is no HTTP: its head is too large")
    except asyncio.IncompleteReadError:
        return Failure("check-lost", "the connection closed before the answer")


async def _final(reader: asyncio.StreamReader) -> _Head:
    for _ in range(_INTERIM + 1):
        head = _head(await reader.readuntil(b"\r\n\r\n"))
        if head.status >= 200:  # noqa: PLR2004 - the first final status
            return head
    raise _BrokenError("there is no end of interim answers")


def _head(text: bytes) -> _Head:
    first, *lines = text[:-4].split(b"\r\n")
    status = _FIRST.fullmatch(first)
    if status is None:
        raise _BrokenError("the answer is no HTTP: its first line is no status line")
    fields: dict[bytes, bytes] = {}
    for line in lines:
        found = _LINE.fullmatch(line)
        if found is None:
            raise _BrokenError("the answer is no HTTP: a line of its head is no header")
        fields[found[1].lower()] = found[2].strip(b" \t")
    return _Head(int(status[1]), fields)


async def _searched(check: HttpCheck, head: _Head, reader: asyncio.StreamReader) -> Failure | None:
    """Looks for the text in the body."""
    wanted = (check.body or "").encode()
    body = b""
    parts = _Parts(head, reader)
    has_none = check.method == "HEAD" or head.status in _NO_BODY
    try:
        while not has_none and len(body) < _BODY:
            part = await parts.next()
            if not part:
                break
            body = (body + part)[:_BODY]
            if wanted in body:
                return None
    except (asyncio.IncompleteReadError, ConnectionError):
        return Failure("check-lost", "the connection closed within the body")
    if wanted in body:
        return None
    return Failure("check-body", "the body does not contain the text that is looked for")


class _Parts:
    """The parts of a body as they come."""

    def __init__(self, head: _Head, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._chunked = head.fields.get(b"transfer-encoding", b"").lower().endswith(b"chunked")
        self._left: int | None = None
        length = head.fields.get(b"content-length")
        if length is not None and not self._chunked:
            if not re.fullmatch(rb"[0-9]{1,18}", length):
                raise _BrokenError("the body is broken: its length is no number")
            self._left = int(length)

    async def next(self) -> bytes:
        """Returns the next part, empty at the end."""
        if self._chunked:
            return await self._chunk()
        if self._left == 0:
            return b""
        part = await self._reader.read(min(_CHUNK, self._left or _CHUNK))
        if self._left is not None:
            if not part:
                raise asyncio.IncompleteReadError(b"", self._left)
            self._left -= len(part)
        return part

    async def _chunk(self) -> bytes:
        """Returns the next part of a chunk; a chunk may be larger than what is looked at."""
        if not self._left:
            line = await self._reader.readuntil(b"\r\n")
            size = re.fullmatch(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?\r\n", line)
            if size is None:
                raise _BrokenError("the body is broken: a chunk has no size")
            self._left = int(size[1], 16)
            if not self._left:
                return b""
        part = await self._reader.read(min(_CHUNK, self._left))
        if not part:
            raise asyncio.IncompleteReadError(b"", self._left)
        self._left -= len(part)
        if not self._left:
            await self._reader.readexactly(2)
        return part
