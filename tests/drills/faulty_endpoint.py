"""An upstream that fails in the way that its standard input says, a word on each line.

`python tests/drills/faulty_endpoint.py PORT`; words: `ok`, `500`, `slow` (200 ms), `cut` (a reset
in the midst of a body), `hang` (accepts and never answers).
"""

import asyncio
import socket
import struct
import sys

_BODY = b"x" * 1000
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + _BODY
_ERROR = b"HTTP/1.1 500 Error\r\nContent-Length: 0\r\n\r\n"
_SLOW_S = 0.2


class Endpoint:
    """What it does now."""

    mode = "ok"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers the requests of a connection."""
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                if self.mode == "hang":
                    await reader.read()
                    return
                if self.mode == "cut":
                    _reset(writer)
                    return
                if self.mode == "slow":
                    await asyncio.sleep(_SLOW_S)
                writer.write(_ERROR if self.mode == "500" else _OK)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
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


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    writer.write(_OK[: len(_OK) // 2])
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


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
