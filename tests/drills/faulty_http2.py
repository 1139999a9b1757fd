"""An upstream over HTTP/2 that fails in the way that its standard input says, a word on each line.

`python tests/drills/faulty_http2.py PORT`; words: `ok`, `500`, `slow` (200 ms), `cut` (the
connection is reset in the midst of a body), `hang` (accepts streams and never answers), `reset`
(RST_STREAM in the midst of a body), `refuse` (REFUSED_STREAM for every stream), `goaway` (each
connection is ended by GOAWAY, the first one as it begins, the next one as a request comes, which is
not processed, the third one within an answer, the fourth one after an answer).
"""

import asyncio
import itertools
import socket
import struct
import sys

from http2_frames import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    PREFACE,
    RESET,
    SETTINGS,
    WINDOW,
    frame,
    indexed,
    number,
    setting,
)

_BODY = b"x" * 1000
_STATUS_200, _STATUS_500 = indexed(8), indexed(14)
_REFUSED, _INTERNAL = 7, 2
_HEAD_SIZE = 9
_STREAMS = 3
_WINDOW = 65_535
_SLOW_S = 0.2
_START, _REQUEST, _WITHIN, _AFTER = range(4)
_moments = itertools.cycle((_START, _REQUEST, _WITHIN, _AFTER))


class Endpoint:
    """What it does now."""

    mode = "ok"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers the streams of a connection."""
        connection = Connection(self, reader, writer)
        try:
            await connection.run()
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()

    async def obey(self) -> None:
        """Follows standard input until it ends."""
        loop = asyncio.get_running_loop()
        lines = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
        while line := await lines.readline():
            self.mode = line.decode().strip()


class Connection:
    """A connection; it reads no fields, so that each stream gets the same answer."""

    def __init__(
        self, endpoint: Endpoint, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.endpoint, self.reader, self.writer = endpoint, reader, writer
        self.window = _WINDOW
        self.last = 0
        self.waiting: list[int] = []
        self.ends_at: int | None = None
        """The moment of GOAWAY; None = it was not chosen."""
        self.is_ending = False
        self.slow: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until either side ends it."""
        await self.reader.readexactly(len(PREFACE))
        self.writer.write(setting(_STREAMS, 100))
        self._choose()
        if self.ends_at == _START:
            return await self._leave(0)
        while not self.writer.is_closing():
            head = await self.reader.readexactly(_HEAD_SIZE)
            payload = await self.reader.readexactly(int.from_bytes(head[:3]))
            self._take(head[3], head[4], int.from_bytes(head[5:]) & 0x7FFF_FFFF, payload)
            await self.writer.drain()
            if self.is_ending:
                return await self._leave(self.last)
        return None

    def _choose(self) -> None:
        if self.ends_at is None and self.endpoint.mode == "goaway":
            self.ends_at = next(_moments)

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == SETTINGS and not flags & ACK:
            self.writer.write(frame(SETTINGS, ACK, 0))
        elif kind == PING and not flags & ACK:
            self.writer.write(frame(PING, ACK, 0, payload))
        elif kind == WINDOW and stream == 0:
            self.window += int.from_bytes(payload)
            while self.waiting and self.window >= len(_BODY):
                self._body(self.waiting.pop(0))
        elif kind == HEADERS:
            self._request(stream)

    def _request(self, stream: int) -> None:
        mode = self.endpoint.mode
        self._choose()
        if self.ends_at == _REQUEST:
            self.is_ending = True
            return
        self.last = stream
        if mode == "hang":
            return
        if mode == "refuse":
            self.writer.write(frame(RESET, 0, stream, number(_REFUSED)))
        elif mode == "slow":
            task = asyncio.create_task(self._later(stream))
            self.slow.add(task)
            task.add_done_callback(self.slow.discard)
        elif mode == "500":
            self.writer.write(frame(HEADERS, END_HEADERS | END_STREAM, stream, _STATUS_500))
        else:
            self._answer(stream, mode)

    def _answer(self, stream: int, mode: str) -> None:
        self.writer.write(frame(HEADERS, END_HEADERS, stream, _STATUS_200))
        if mode in ("cut", "reset"):
            self.writer.write(frame(DATA, 0, stream, _BODY[:500]))
            self.window -= 500
        if mode == "cut":
            linger = struct.pack("ii", 1, 0)
            sock = self.writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.writer.transport.abort()
        elif mode == "reset":
            self.writer.write(frame(RESET, 0, stream, number(_INTERNAL)))
        elif self.window >= len(_BODY):
            if self.ends_at == _WITHIN:
                self._goaway(stream)
            self._body(stream)
            self.is_ending = self.ends_at in (_WITHIN, _AFTER)
        else:
            self.waiting.append(stream)

    def _body(self, stream: int) -> None:
        self.window -= len(_BODY)
        self.writer.write(frame(DATA, END_STREAM, stream, _BODY))

    async def _later(self, stream: int) -> None:
        await asyncio.sleep(_SLOW_S)
        if not self.writer.is_closing():
            self._answer(stream, "ok")

    def _goaway(self, last: int) -> None:
        self.writer.write(frame(GOAWAY, 0, 0, number(last) + number(0)))

    async def _leave(self, last: int) -> None:
        """GOAWAY, what is owed, and the end of our half; then it reads until the peer leaves."""
        self._goaway(last)
        while self.waiting or self.slow:
            head = await self.reader.readexactly(_HEAD_SIZE)
            payload = await self.reader.readexactly(int.from_bytes(head[:3]))
            stream = int.from_bytes(head[5:]) & 0x7FFF_FFFF
            if head[3] != HEADERS:
                self._take(head[3], head[4], stream, payload)
        await self.writer.drain()
        self.writer.write_eof()
        while await self.reader.read(65_536):
            pass


async def main() -> None:
    """Listens and obeys."""
    endpoint = Endpoint()
    port = int(sys.argv[1])
    async with await asyncio.start_server(endpoint.serve, "127.0.0.1", port, backlog=512):
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await endpoint.obey()


if __name__ == "__main__":
    asyncio.run(main())
