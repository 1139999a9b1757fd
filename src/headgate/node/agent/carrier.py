"""Carries frames between an agent and its master over gRPC with mTLS."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final, Protocol

import grpc
from grpc import ChannelConnectivity, aio

from headgate.fleet.codec import MAX_FRAME
from headgate.providers.master.fallback import LinkError

METHOD: Final = "/headgate.v1.Fleet/Session"
_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MAX_FRAME),
    ("grpc.max_send_message_length", MAX_FRAME),
    ("grpc.enable_retries", 0),
    # The session machine decides when to dial, by full jitter.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.use_local_subchannel_pool", 1),
    # gRPC would measure with pings how much may be under way, which its master must answer; this
    # window suffices for a link of 100 ms.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 1 << 20),
)


CarrierError = LinkError
"""The connection could not be made, or ended; the message says why."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """PEM material for mTLS: whom to trust, and who we are."""

    ca: bytes
    key: bytes
    certificate: bytes


class Carrier(Protocol):
    """A connection that carries whole frames."""

    async def send(self, frame: bytes) -> None:
        """Sends one frame; raises CarrierError."""
        ...

    def frames(self) -> AsyncIterator[bytes]:
        """Yields the master's frames until it ends; raises CarrierError if it breaks."""
        ...

    async def close(self) -> None:
        """Ends the connection; may be called more than once."""
        ...


Open = Callable[[], "asyncio.Future[Carrier]"]


class GrpcCarrier:
    """A bidirectional call on a channel of its own."""

    def __init__(self, target: str, credentials: Credentials) -> None:
        tls = grpc.ssl_channel_credentials(credentials.ca, credentials.key, credentials.certificate)
        self._channel = aio.secure_channel(target, tls, options=_OPTIONS)
        self._target = target
        self._call: aio.StreamStreamCall[bytes, bytes] | None = None

    async def connect(self, within_s: float) -> None:
        """Connects and opens the call; raises CarrierError as soon as one attempt has failed."""
        try:
            async with asyncio.timeout(within_s):
                is_ready = await self._is_ready()
        except TimeoutError:
            is_ready = False
        if not is_ready:
            raise CarrierError(await self._why_not())
        self._call = self._channel.stream_stream(METHOD)()

    async def send(self, frame: bytes) -> None:
        """Sends one frame; raises CarrierError."""
        if self._call is None:
            raise CarrierError("the connection is not open")
        try:
            await self._call.write(frame)
        except (aio.AioRpcError, asyncio.InvalidStateError) as error:
            raise CarrierError(_said(error)) from error

    async def frames(self) -> AsyncIterator[bytes]:
        """Yields the master's frames until it ends; raises CarrierError if it breaks."""
        if self._call is None:
            raise CarrierError("the connection is not open")
        try:
            while True:
                frame = await self._call.read()
                if not isinstance(frame, bytes):
                    return
                yield frame
        except aio.AioRpcError as error:
            raise CarrierError(_said(error)) from error

    async def close(self) -> None:
        """Ends the call and the channel."""
        if self._call is not None:
            self._call.cancel()
        await self._channel.close()

    async def _is_ready(self) -> bool:
        """Waits for the first attempt; says whether it made a connection. The channel would try
        again by itself, and keep another way to the master waiting for as long."""
        while True:
            state = self._channel.get_state(try_to_connect=True)
            if state is ChannelConnectivity.READY:
                return True
            if state in (ChannelConnectivity.TRANSIENT_FAILURE, ChannelConnectivity.SHUTDOWN):
                return False
            await self._channel.wait_for_state_change(state)

    async def _why_not(self) -> str:
        """Returns why no connection could be made, as gRPC says it of a call."""
        probe = self._channel.stream_stream(METHOD)()
        try:
            async with asyncio.timeout(1.0):
                await probe.wait_for_connection()
        except (aio.AioRpcError, TimeoutError) as error:
            if isinstance(error, aio.AioRpcError):
                return f"{self._target}: {_said(error)}"
        finally:
            probe.cancel()
        return f"{self._target} does not answer"


def _said(error: BaseException) -> str:
    if isinstance(error, aio.AioRpcError):
        return f"{error.details() or 'the call ended'} ({error.code().name.lower()})"
    return str(error) or type(error).__name__
