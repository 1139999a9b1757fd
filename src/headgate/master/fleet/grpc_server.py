"""The agents' port: gRPC with mTLS. Only who has a valid client certificate of the fleet gets to
say a word."""

import asyncio
import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

import grpc
import grpc.aio
from cryptography import x509

from headgate.certificates.identity import agent_of, serial_of
from headgate.fleet import codec
from headgate.fleet.frames import MasterFrame
from headgate.kernel.errors import Invalid
from headgate.master.fleet.hub import LiveHub
from headgate.master.fleet.live import LiveSession

_METHOD = "Session"
_SERVICE = "headgate.v1.Fleet"
_MAX_AGENT_FRAME = 1 << 20
# Without the pending limits a storm of connects is refused with INTERNAL from 10,000 streams on.
_OPTIONS = (
    ("grpc.server.max_pending_requests", 30_000),
    ("grpc.server.max_pending_requests_hard_limit", 60_000),
    ("grpc.max_receive_message_length", _MAX_AGENT_FRAME),
    ("grpc.max_send_message_length", codec.MAX_FRAME),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.so_reuseport", 0),
    # gRPC would measure with pings how much may be under way, about one ping for each heartbeat;
    # this window suffices for what agents send.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 256 << 10),
)


@dataclass(frozen=True, slots=True)
class ServerTls:
    """The port's certificate and the authorities that it trusts; read again for each handshake."""

    key_pem: bytes
    chain_pem: bytes
    authorities_pem: bytes


class FleetServer:
    """The server of one master process."""

    def __init__(self, hub: LiveHub, tls: Callable[[], ServerTls]) -> None:
        """`tls` is called for every handshake, so that renewed certificates count at once."""
        self._hub = hub
        self._tls = tls
        self._last: ServerTls | None = None
        self._server: grpc.aio.Server | None = None
        self.port = 0
        """The port that it listens on, once it does."""

    async def start(self, address: str) -> int:
        """Listens at `address` and returns the port. Raises OSError if that is in use."""
        self._server = grpc.aio.server(options=_OPTIONS)
        handler = grpc.stream_stream_rpc_method_handler(self._session)
        handlers = grpc.method_handlers_generic_handler(_SERVICE, {_METHOD: handler})
        self._server.add_generic_rpc_handlers((handlers,))
        first = self._configuration()
        credentials = grpc.dynamic_ssl_server_credentials(
            first, self._renewed, require_client_authentication=True
        )
        try:
            port = self._server.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise OSError(f"{address}: {error}") from None
        await self._server.start()
        self.port = int(port)
        return self.port

    async def stop(self, grace_s: float = 1.0) -> None:
        """Tells the agents to leave, and stops."""
        self._hub.stop()
        if self._server is not None:
            await self._server.stop(grace_s)

    def _configuration(self) -> object:
        tls = self._last = self._tls()
        return grpc.ssl_server_certificate_configuration(
            [(tls.key_pem, tls.chain_pem)], tls.authorities_pem
        )

    def _renewed(self) -> object | None:
        """Called by gRPC's own threads before each handshake; None: as before."""
        return None if self._tls() == self._last else self._configuration()

    async def _session(self, _requests: object, context: grpc.aio.ServicerContext) -> None:
        certificate = _certificate(context)
        agent_id = agent_of(certificate) if certificate else None
        if certificate is None or agent_id is None:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "this is no agent's certificate")
            return
        carrier = _GrpcCarrier(context, asyncio.current_task())
        session = LiveSession(self._hub, carrier, agent_id, _address(context.peer()))
        session.serial = serial_of(certificate)
        try:
            while not carrier.is_closed:
                data = await context.read()
                if data is grpc.aio.EOF:
                    break
                session.received(codec.decode_agent(data))
        except Invalid as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except asyncio.CancelledError:
            if not carrier.is_closed:
                raise
        finally:
            session.ended()


class _GrpcCarrier:
    def __init__(
        self, context: grpc.aio.ServicerContext, task: "asyncio.Task[None] | None"
    ) -> None:
        self._context = context
        self._task = task
        self.is_closed = False

    async def send(self, frame: MasterFrame) -> None:
        try:
            await self._context.write(codec.encode_master(frame))
        except (grpc.RpcError, asyncio.InvalidStateError, grpc.aio.BaseError) as error:
            raise ConnectionError(str(error)) from None

    def close(self) -> None:
        """The handler waits for a frame; it ends the stream when it is woken."""
        self.is_closed = True
        if self._task is not None:
            self._task.cancel()


def _certificate(context: grpc.aio.ServicerContext) -> x509.Certificate | None:
    """Returns the peer's certificate, which TLS has verified. A connection may outlive it."""
    pem = next(iter(context.auth_context().get("x509_pem_cert", ())), None)
    if pem is None:
        return None
    certificate = x509.load_pem_x509_certificate(pem)
    return certificate if certificate.not_valid_after_utc > dt.datetime.now(dt.UTC) else None


def _address(peer: str) -> str:
    """Returns the IP address of `ipv4:127.0.0.1:5000` or `ipv6:%5B::1%5D:5000`."""
    _, _, rest = peer.partition(":")
    return rest.rpartition(":")[0].replace("%5B", "").replace("%5D", "").strip("[]")
