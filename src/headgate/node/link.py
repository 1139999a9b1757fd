"""The control process's side of the supervisor's Unix socket: requests, answers, events."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import msgspec

_MAX_LINE = 1 << 20
_ASK_S = 60.0


class LinkError(Exception):
    """The supervisor is gone or did not do the request; the caller may try again."""


class BusyError(LinkError):
    """Some addresses could not be opened, so none was."""

    def __init__(self, errors: tuple["AddressError", ...]) -> None:
        super().__init__("; ".join(f"{e.address}: {e.error}" for e in errors))
        self.errors = errors


class AddressError(msgspec.Struct, frozen=True):
    """The reason why one address could not be opened; `holder` is `nginx (pid 1)` or empty."""

    address: str
    error: str
    holder: str = ""


class DataPlane(msgspec.Struct, frozen=True):
    """A data plane that is ready."""

    generation: int
    pid: int
    grpc_socket: str


class About(msgspec.Struct, frozen=True):
    """The supervisor's report on the node."""

    dataplane: DataPlane | None
    listening: list[str]
    workers: int
    restarts: dict[str, int]
    phase: str
    config_was_applied: bool
    hung: int = 0
    """Data planes killed because they hung; they count as restarts, too."""


class Message(msgspec.Struct, frozen=True):
    """Any line of the supervisor: an answer has an `id`, an event has an `event`."""

    id: int = 0
    ok: bool = True
    error: str = ""
    errors: tuple[AddressError, ...] = ()
    event: str = ""


class SupervisorLink:
    """One connection. Every request raises LinkError when the supervisor goes away."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._last_id = 0
        self._answers: dict[int, asyncio.Future[bytes]] = {}
        self._events: asyncio.Queue[tuple[Message, bytes] | None] = asyncio.Queue()
        self._task = asyncio.create_task(self._read())

    @classmethod
    async def connect(cls, path: str) -> "SupervisorLink":
        """Connects to `supervisor.sock`; raises LinkError if no process listens."""
        try:
            reader, writer = await asyncio.open_unix_connection(path, limit=_MAX_LINE)
        except OSError as error:
            raise LinkError(f"{path}: {error.strerror}") from error
        return cls(reader, writer)

    async def close(self) -> None:
        """Hangs up."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._writer.close()

    async def hello(self) -> About:
        """Asks for events from now on; returns how the node is."""
        return await self._about("hello")

    async def status(self) -> About:
        """Returns how the node is."""
        return await self._about("status")

    async def listen(self, addresses: list[str], backlog: int) -> None:
        """Opens all addresses and gives them to the data plane; raises BusyError for none."""
        await self._ask("listen", addresses=addresses, backlog=backlog)

    async def release(self, addresses: list[str]) -> None:
        """Closes addresses once their queues are empty."""
        await self._ask("release", addresses=addresses)

    async def upgrade(self) -> None:
        """Replaces the data plane by a new one without losing a connection."""
        await self._ask("upgrade")

    async def drain(self) -> None:
        """Drains the node and ends it."""
        await self._ask("drain")

    async def control_ready(self) -> None:
        """Reports that the first config is served."""
        await self._ask("control_ready")

    async def workers(self, count: int | None) -> None:
        """Sets how many workers there are; None = by CPU. Another data plane takes over."""
        await self._ask("workers", count=count)

    async def reloading(self) -> None:
        """Reports to systemd that a reload begins."""
        await self._ask("reloading")

    async def reloaded(self, status: str) -> None:
        """Reports that a reload has ended, well or not; `status` is one line for people."""
        await self._ask("reloaded", status=status)

    async def events(self) -> AsyncIterator[tuple[str, DataPlane | None]]:
        """Yields each event's name, with the data plane if it is about one;
        ends with the supervisor.
        """
        while True:
            item = await self._events.get()
            if item is None:
                return
            message, line = item
            plane = None
            if message.event in ("dataplane", "dataplane_lost"):
                plane = msgspec.json.decode(line, type=DataPlane)
            yield message.event, plane

    async def _about(self, op: str) -> About:
        return msgspec.json.decode(await self._ask(op), type=About)

    async def _ask(self, op: str, **fields: object) -> bytes:
        if self._task.done():
            raise LinkError("the supervisor is gone")
        self._last_id += 1
        number = self._last_id
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        self._writer.write(msgspec.json.encode({"id": number, "op": op, **fields}) + b"\n")
        try:
            async with asyncio.timeout(_ASK_S):
                line: bytes = await answer
        except TimeoutError as error:
            raise LinkError(f"the supervisor did not answer {op!r}") from error
        finally:
            self._answers.pop(number, None)
        message = msgspec.json.decode(line, type=Message)
        if message.errors:
            raise BusyError(message.errors)
        if not message.ok:
            raise LinkError(message.error)
        return line

    async def _read(self) -> None:
        try:
            while line := await self._reader.readline():
                message = msgspec.json.decode(line, type=Message)
                if message.event:
                    self._events.put_nowait((message, line))
                    continue
                answer = self._answers.get(message.id)
                if answer is not None and not answer.done():
                    answer.set_result(line)
        except (OSError, ValueError, msgspec.MsgspecError):
            pass  # as good as gone
        finally:
            for answer in self._answers.values():
                if not answer.done():
                    answer.set_exception(LinkError("the supervisor is gone"))
            self._events.put_nowait(None)
