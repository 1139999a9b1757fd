"""Calls to one data plane over its Unix socket. Everything it returns is in our own types."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterator
from types import TracebackType
from typing import TypeVar

import grpc
import grpc.aio

from headgate.engines.native.generated import plan_pb2 as pb
from headgate.engines.native.types import DataPlaneEvent, DataPlaneStatus, Identity
from headgate.engines.status import LimitStoreStatus, ListenerStatus, WorkerStatus
from headgate.engines.types import (
    EndpointStatus,
    EngineUnavailableError,
    TapChunk,
    TapFilter,
    TapRefusedError,
    UpstreamStatus,
)

T = TypeVar("T")

_SERVICE = "/headgate.v1.DataPlane/"
_OPTIONS = (
    ("grpc.default_authority", "localhost"),  # the socket's path makes no authority
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_receive_message_length", 16 << 20),
)
_ASK_S = 5.0
_APPLY_S = 60.0


class DataPlaneClient:
    """A channel to one data plane; made for its socket and closed when it is replaced."""

    def __init__(self, grpc_socket: str) -> None:
        """`grpc_socket`: path of a Unix socket, or `host:port`."""
        target = f"unix:{grpc_socket}" if grpc_socket.startswith("/") else grpc_socket
        self._channel = grpc.aio.insecure_channel(target, options=_OPTIONS)

    async def __aenter__(self) -> "DataPlaneClient":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the channel; calls under way fail with EngineUnavailableError."""
        await self._channel.close()

    async def hello(self, version: str) -> Identity:
        """Returns who answers and what it serves.
        Every call raises EngineUnavailableError if none does.
        """
        call = self._unary("Hello", pb.HelloRequest, pb.HelloReply)
        reply = await _reached(call(pb.HelloRequest(version=version), timeout=_ASK_S))
        return Identity(
            reply.version,
            reply.pid,
            reply.generation,
            reply.plan_digest,
            reply.workers,
            reply.draining,
        )

    async def apply(self, messages: Iterator[bytes]) -> pb.ApplyReply:
        """Sends one transaction of serialised `ApplyMessage`s; returns the reply unchanged.

        Raises what `messages` raises.
        """
        call = self._channel.stream_unary(
            _SERVICE + "Apply",
            request_serializer=None,
            response_deserializer=pb.ApplyReply.FromString,
        )(timeout=_APPLY_S)
        try:
            async with _translated():
                for message in messages:
                    await call.write(message)
                await call.done_writing()
                reply: pb.ApplyReply = await call
                return reply
        finally:
            call.cancel()  # nothing when it is done; otherwise the other side forgets it

    async def status(self, *, endpoints: bool) -> DataPlaneStatus:
        """Returns how it is; without `endpoints` the upstreams are left out."""
        call = self._unary("Status", pb.StatusRequest, pb.StatusReply)
        return _status(await _reached(call(pb.StatusRequest(endpoints=endpoints), timeout=_ASK_S)))

    async def metrics(self) -> bytes:
        """Returns OpenMetrics text without the closing `# EOF`."""
        call = self._stream("Metrics", pb.MetricsRequest, pb.MetricsChunk)
        async with _translated():
            chunks = call(pb.MetricsRequest(), timeout=_ASK_S)
            return b"".join([chunk.text async for chunk in chunks])

    async def set_endpoint(self, upstream: str, endpoint: str, state: str) -> str:
        """Gives an operator's order for an endpoint; returns why it cannot, empty when done."""
        call = self._unary("SetEndpoint", pb.SetEndpointRequest, pb.SetEndpointReply)
        request = pb.SetEndpointRequest(upstream=upstream, endpoint=endpoint, state=state)
        reply = await _reached(call(request, timeout=_ASK_S))
        return str(reply.error)

    async def events(self) -> AsyncIterator[DataPlaneEvent]:
        """Yields what happens there from now on; ends or raises when the data plane goes."""
        call = self._stream("Events", pb.EventsRequest, pb.Event)
        async with _translated():
            async for one in call(pb.EventsRequest()):
                yield DataPlaneEvent(
                    one.unix_ms, one.level, one.kind, one.object_kind, one.object_name, one.message
                )

    async def tap(self, wanted: TapFilter) -> AsyncGenerator[TapChunk, None]:
        """Yields the requests from now on as they end; the first chunk says that they are shown.

        Ends or raises when the data plane goes. Raises TapRefusedError if too many taps are open.
        """
        asked = pb.TapRequest(
            host=wanted.host,
            path=wanted.path,
            method=wanted.method,
            listener=wanted.listener,
            route=wanted.route,
            upstream=wanted.upstream,
            status_from=wanted.status[0],
            status_to=wanted.status[1],
            client=wanted.client,
            slower_us=wanted.slower_us,
            headers=wanted.headers,
        )
        call = self._stream("Tap", pb.TapRequest, pb.TapChunk)(asked)
        try:
            async with _translated():
                async for one in call:
                    if one.refused:
                        raise TapRefusedError(one.refused, is_full=True)
                    yield TapChunk(one.lines, one.dropped)
        finally:
            call.cancel()  # the data plane then closes the tap

    def _unary(self, name: str, request: type, reply: type) -> grpc.aio.UnaryUnaryMultiCallable:
        return self._channel.unary_unary(
            _SERVICE + name,
            request_serializer=request.SerializeToString,  # type: ignore[attr-defined]
            response_deserializer=reply.FromString,  # type: ignore[attr-defined]
        )

    def _stream(self, name: str, request: type, reply: type) -> grpc.aio.UnaryStreamMultiCallable:
        return self._channel.unary_stream(
            _SERVICE + name,
            request_serializer=request.SerializeToString,  # type: ignore[attr-defined]
            response_deserializer=reply.FromString,  # type: ignore[attr-defined]
        )


async def _reached(call: Awaitable[T]) -> T:
    async with _translated():
        return await call


@contextlib.asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise EngineUnavailableError(error.details() or str(error.code())) from error
    except (grpc.aio.BaseError, asyncio.InvalidStateError) as error:
        # A closed channel, or a call that ended in the moment of a write.
        raise EngineUnavailableError(str(error)) from error
    except asyncio.CancelledError as error:
        # A closed channel cancels its calls, which does not mean that our task was cancelled.
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise EngineUnavailableError("the channel was closed") from error


def _status(reply: pb.StatusReply) -> DataPlaneStatus:
    return DataPlaneStatus(
        plan_digest=reply.plan_digest,
        generation=reply.generation,
        uptime_s=reply.uptime_s,
        draining=reply.draining,
        workers=[
            WorkerStatus(w.index, w.connections, w.requests, w.restarts) for w in reply.workers
        ],
        listeners=[
            ListenerStatus(one.name, list(one.addresses), one.connections)
            for one in reply.listeners
        ],
        upstreams=[
            UpstreamStatus(one.name, [_endpoint(e) for e in one.endpoints], one.panic)
            for one in reply.upstreams
        ],
        overload=reply.overload,
        overload_cause=reply.overload_cause,
        traces=reply.traces,
        access_log=reply.access_log,
        access_log_failure=reply.access_log_failure,
        limit_store=_limit_store(reply),
    )


def _limit_store(reply: pb.StatusReply) -> LimitStoreStatus | None:
    if not reply.HasField("limit_store"):
        return None
    store = reply.limit_store
    return LimitStoreStatus(ready=store.ready, away_since_s=store.away_since_s, why=store.why)


def _endpoint(one: pb.EndpointStatus) -> EndpointStatus:
    return EndpointStatus(
        address=one.address,
        resolved=list(one.resolved),
        state=one.state,
        active=one.active,
        idle=one.idle,
        requests=one.requests,
        failures=one.failures,
        error=one.error,
        takes=one.takes,
        why=one.why,
        reason=one.reason,
        changed_at=one.changed_unix_ms / 1000,
        checks_passed=one.checks_passed,
        checks_failed=one.checks_failed,
        negotiated=one.negotiated,
        agent_percent=one.agent_percent,
    )
