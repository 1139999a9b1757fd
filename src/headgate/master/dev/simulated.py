"""Agents with real sessions over real connections, many in one process; they keep their blobs in
memory and serve every revision at once. For scale runs and tests."""

import asyncio
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import grpc
import grpc.aio

from headgate.fleet import agent_events as ev
from headgate.fleet import codec
from headgate.fleet import frames as fr
from headgate.fleet.agent_session import AgentFacts, AgentSession, State
from headgate.fleet.agent_work import Base, Read, read_offer
from headgate.fleet.manifest import Manifest, address
from headgate.kernel.errors import Invalid

_SESSION = "/headgate.v1.Fleet/Session"
_OPEN_S = 30.0
_OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.enable_retries", 0),
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 1 << 20),
    ("grpc.max_receive_message_length", codec.MAX_FRAME),
)
_Call: TypeAlias = Any  # grpc has no types


@dataclass(frozen=True, slots=True)
class Enrolment:
    """The identity of a simulated agent: PEM, and the master's keys for manifests."""

    agent: str
    key_pem: bytes
    certificate_pem: bytes
    authorities_pem: bytes
    manifest_keys: tuple[bytes, ...]


class SharedReading:
    """Reads each offer once for all agents of the process: they stand for as many machines, whose
    work is not what is measured."""

    def __init__(self) -> None:
        self._read: dict[tuple[str, str, bytes], Manifest] = {}

    def __call__(self, keys: tuple[bytes, ...], base: Base | None, offer: fr.Offer) -> Manifest:
        """Returns what is offered, as `read_offer` does."""
        key = (offer.version.hash, offer.base, offer.signature)
        found = self._read.get(key)
        if found is None:
            found = self._read[key] = read_offer(keys, base, offer)
        elif offer.base and (base is None or base[0] != offer.base):
            return read_offer(keys, base, offer)  # raises: this agent has another base
        return found


class Line(Protocol):
    """A connection that carries whole frames."""

    async def connect(self, within_s: float) -> None:
        """Connects. Raises OSError."""
        ...

    async def send(self, frame: bytes) -> None:
        """Sends one frame. Raises OSError."""
        ...

    def frames(self) -> AsyncIterator[bytes]:
        """Yields the master's frames until it ends. Raises OSError."""
        ...

    async def close(self) -> None:
        """Ends the connection; may be called more than once."""
        ...


class GrpcLine:
    """A stream on a connection of its own."""

    def __init__(self, target: str, who: Enrolment) -> None:
        credentials = grpc.ssl_channel_credentials(
            who.authorities_pem, who.key_pem, who.certificate_pem
        )
        self._channel = grpc.aio.secure_channel(target, credentials, options=_OPTIONS)
        self._call: _Call = None

    async def connect(self, within_s: float) -> None:
        """See Line."""
        async with asyncio.timeout(within_s):
            await _ready(self._channel)
        self._call = self._channel.stream_stream(_SESSION)()

    async def send(self, frame: bytes) -> None:
        """See Line."""
        try:
            await self._call.write(frame)
        except (grpc.RpcError, asyncio.InvalidStateError, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and not self._call.cancelled():
                raise
            raise ConnectionError(str(error)) from None

    async def frames(self) -> AsyncIterator[bytes]:
        """See Line."""
        try:
            while (data := await self._call.read()) is not grpc.aio.EOF:
                yield data
        except (grpc.RpcError, asyncio.InvalidStateError) as error:
            raise ConnectionError(str(error)) from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise ConnectionError("the connection was dropped") from None

    async def close(self) -> None:
        """See Line."""
        if self._call is not None:
            self._call.cancel()
        await self._channel.close()


class SimulatedAgent:
    """One agent; `run` keeps it connected until it is cancelled."""

    def __init__(
        self,
        who: Enrolment,
        target: str,
        *,
        blobs: dict[str, bytes] | None = None,
        read: Read = read_offer,
        line: Callable[[str, Enrolment], Line] | None = None,
        turns: asyncio.Semaphore | None = None,
    ) -> None:
        """`target` is `host:port`; `blobs` may be shared by agents of one process; `line` makes
        the connections, by gRPC if it is not given; `turns` says how many connect at once."""
        self.refusal: fr.Fault | None = None
        """The fault that the agent reports for every offer, instead of serving it."""
        self.goodbyes: list[str] = []
        """The reasons why the session hung up, one for each time."""
        self.acknowledged_at = 0.0
        """The time at which it last took an offer (monotonic seconds)."""
        self.served_at = 0.0
        """The time at which it last served one."""
        self.attempts = 0
        """The number of connections that have ended or could not be made."""
        self.who = who
        facts = AgentFacts(who.agent, time.time_ns(), "simulated", keys=who.manifest_keys)
        self.session = AgentSession(facts, random.SystemRandom().random)
        self.session.work.read = read
        self._target = target
        self._blobs = {} if blobs is None else blobs
        self._parts: dict[str, bytes] = {}
        self._events: deque[ev.Event] = deque()
        self._outbox: deque[bytes] = deque()
        self._new_line = line or GrpcLine
        self._line: Line | None = None
        self._turns = turns or asyncio.Semaphore()
        self._dropping: asyncio.Task[None] | None = None
        self._sending: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._dial = asyncio.Event()
        self._is_up = False

    @property
    def name(self) -> str:
        """The agent's id."""
        return self.who.agent

    @property
    def is_live(self) -> bool:
        """The master has said Welcome."""
        return self.session.state is State.LIVE

    @property
    def serving(self) -> int:
        """The revision that it serves; 0: none."""
        version = self.session.work.held.serving
        return version.revision if version else 0

    async def run(self) -> None:
        """Connects, and connects again, until it is cancelled."""
        self.tell(ev.Start())
        try:
            while True:
                await self._dial.wait()
                self._dial.clear()
                why = await self._connection()
                self.attempts += 1
                self.tell(ev.Disconnected(why))
        finally:
            if self._timer:
                self._timer.cancel()
            if self._sending:
                self._sending.cancel()

    def tell(self, event: ev.Event) -> None:
        """Passes an event to the session; what follows from it is done before this returns."""
        self._events.append(event)
        if len(self._events) > 1:
            return  # the turn under way takes it
        while self._events:
            self.session.clock_ms = int(time.time() * 1000)
            for command in self.session.handle(self._events[0], time.monotonic()):
                self._carry_out(command)
            self._events.popleft()
        self._arm()

    def drop(self) -> None:
        """Loses the connection, as a network does."""
        if self._line is not None:
            self._dropping = asyncio.get_running_loop().create_task(self._line.close())

    def send_raw(self, data: bytes) -> None:
        """Sends bytes that need not be a frame."""
        self._outbox.append(data)
        self._begin_sending()

    def _begin_sending(self) -> None:
        if self._is_up and self._sending is None:
            self._sending = asyncio.get_running_loop().create_task(self._send())

    def _carry_out(self, command: ev.Command) -> None:
        match command:
            case ev.Dial():
                self._dial.set()
            case ev.Send(frame):
                self._outbox.append(codec.encode_agent(frame))
                self._begin_sending()
            case ev.HangUp(why):
                self.goodbyes.append(why)
                self.drop()
            case ev.FindMissing(job, manifest):
                self.acknowledged_at = time.monotonic()
                wanted = dict.fromkeys(entry.sha256 for entry in manifest.entries)
                missing = (fr.Want(one) for one in wanted if one not in self._blobs)
                self._events.append(ev.Missing(job, tuple(missing)))
            case ev.Store():
                self._store(command)
            case ev.Apply(job, manifest):
                self._apply(job, manifest)

    def _store(self, chunk: ev.Store) -> None:
        part = self._parts.get(chunk.sha256, b"")[: chunk.offset] + chunk.data
        self._parts[chunk.sha256] = part
        if len(part) == chunk.total:
            del self._parts[chunk.sha256]
            is_good = address(part) == chunk.sha256
            if is_good:
                self._blobs[chunk.sha256] = part
            self._events.append(ev.Stored(chunk.sha256, is_good))

    def _apply(self, job: int, manifest: Manifest) -> None:
        self.served_at = time.monotonic()
        if self.refusal is not None:
            self._events.append(ev.Progress(job, fr.Phase.REJECTED, fault=self.refusal))
            return
        for phase in (fr.Phase.VALIDATED, fr.Phase.APPLIED, fr.Phase.SERVING):
            digest = manifest.scope if phase is fr.Phase.SERVING else ""
            self._events.append(ev.Progress(job, phase, effective_hash=digest))

    async def _connection(self) -> str:
        """Returns why the connection ended."""
        self._outbox.clear()
        try:
            line = await self._opened()
            self._is_up = True
            self.tell(ev.Connected())
            async for data in line.frames():
                self.tell(ev.Received(codec.decode_master(data)))
            return "the master ended the stream"
        except (OSError, Invalid) as error:
            return str(error)
        finally:
            self._is_up = False
            left, self._line = self._line, None
            if left is not None:
                await left.close()

    async def _opened(self) -> Line:
        """Connects in its turn, in which a connection that fails is closed, too. Raises OSError."""
        async with self._turns:
            self._dial.clear()
            if self.session.state is not State.DIALLING:
                raise ConnectionError("its dial ended before its turn")
            line = self._line = self._new_line(self._target, self.who)
            try:
                await line.connect(_OPEN_S)
            except BaseException:
                await line.close()
                raise
            return line

    async def _send(self) -> None:
        try:
            with suppress(OSError):
                while self._outbox and self._line is not None:
                    await self._line.send(self._outbox.popleft())
        finally:
            self._sending = None

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self.session.deadline()
        if due is not None:
            wait_s = max(0.0, due - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(wait_s, self.tell, ev.Tick())


async def _ready(channel: _Call) -> None:
    """Waits for the connection. Raises ConnectionError as soon as one attempt failed: when the
    next one follows is the session's decision."""
    state = channel.get_state(try_to_connect=True)
    while state is not grpc.ChannelConnectivity.READY:
        if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
            raise ConnectionError("the master cannot be reached, or TLS failed")
        await channel.wait_for_state_change(state)
        state = channel.get_state(try_to_connect=True)
