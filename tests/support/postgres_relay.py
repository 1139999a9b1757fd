"""What stands between a master and PostgreSQL, and lets nothing through while the cable is cut."""

import asyncio
import contextlib
import shutil
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

_SOCKET = ".s.PGSQL.5432"
_HEAD = 5


class Relay:
    """A Unix socket before the one of a cluster. A cut connection ends on neither side: nothing
    comes through, as over a network that drops every packet."""

    def __init__(self, behind: Path) -> None:
        """`behind`: the folder of the cluster's socket."""
        self.folder = Path(tempfile.mkdtemp(prefix="hg-relay-"))
        self._behind = behind
        self._loop = asyncio.new_event_loop()
        self._open = asyncio.Event()
        self._open.set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()
        self._last = b""
        self.trips = 0
        """How often the server was ready for the next question: the trips that clients waited for,
        and one for each connection."""

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        shutil.rmtree(self.folder)

    def url(self, direct: str) -> str:
        """The DATABASE_URL through the relay."""
        return direct.replace(str(self._behind), str(self.folder))

    def cut(self) -> None:
        """Lets nothing through."""
        self._loop.call_soon_threadsafe(self._open.clear)

    def cut_after(self, text: str) -> None:
        """Lets nothing through once a client has sent this text, which the server still gets."""
        self._last = text.encode()

    def mend(self) -> None:
        """Lets everything through again, what waited included."""
        self._last = b""
        self._loop.call_soon_threadsafe(self._open.set)

    async def _serve(self) -> None:
        self._server = await asyncio.start_unix_server(self._both, self.folder / _SOCKET)

    async def _end(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _both(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._open.wait()
        with contextlib.suppress(OSError):
            far, near = await asyncio.open_unix_connection(self._behind / _SOCKET)
            for one, other, seen in ((reader, near, self._sent), (far, writer, self._count())):
                task = asyncio.create_task(self._pump(one, other, seen))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def _sent(self, data: bytes) -> None:
        if self._last and self._last in data:
            self._open.clear()

    def _count(self) -> Callable[[bytes], None]:
        rest = b""

        def seen(data: bytes) -> None:
            nonlocal rest
            answers, rest = _counted(rest + data)
            self.trips += answers

        return seen

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        seen: Callable[[bytes], None],
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                await self._open.wait()
                seen(data)
                writer.write(data)
                await writer.drain()
        await self._open.wait()
        writer.close()


def _counted(data: bytes) -> tuple[int, bytes]:
    """Counts the server's ReadyForQuery messages; returns also the part of one that is not whole.

    Each is a letter and a length that counts itself (PostgreSQL, "Message Formats").
    """
    answers = 0
    while len(data) >= _HEAD:
        end = 1 + int.from_bytes(data[1:_HEAD], "big")
        if len(data) < end:
            break
        answers += data[:1] == b"Z"
        data = data[end:]
    return answers, data
