"""The agents' frames over WebSocket, on the REST port, for where gRPC cannot pass.

TLS may end before the master, so an agent proves who it is in `Hello`: it signs the master's
challenge with the key of its certificate. A path for an application to mount, `PATH`; the server
that runs it sets its limit on messages at `MAX_MESSAGE`.
"""

import asyncio
import datetime as dt
import secrets
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.websockets import WebSocket, WebSocketDisconnect

from headgate.certificates.authority import agent_of_certificate
from headgate.certificates.identity import serial_of
from headgate.fleet import codec
from headgate.fleet import frames as fr
from headgate.fleet.signing import CHALLENGE_BYTES, challenge_is_answered
from headgate.kernel.errors import Invalid
from headgate.master.fleet.hub import LiveHub
from headgate.master.fleet.live import LiveSession

PATH = "/api/v1/fleet/session"
MAX_MESSAGE = 1 << 20
_HELLO_S = 10.0
_POLICY = 1008
_MAX_PEM = 16 << 10


class WebSocketDoor:
    """Lets agents in, one call of it for each connection."""

    def __init__(
        self,
        hub: LiveHub,
        authorities: Callable[[], Iterable[x509.Certificate]],
        now: Callable[[], dt.datetime],
    ) -> None:
        """`authorities` returns whose certificates count at this moment, which is `now()`."""
        self._hub = hub
        self._authorities = authorities
        self._now = now

    async def __call__(self, websocket: WebSocket, proven: Callable[[], None]) -> None:
        """Serves one agent until either side leaves; calls `proven` once it knows which it is."""
        await websocket.accept()
        challenge = secrets.token_bytes(CHALLENGE_BYTES)
        carrier = _Carrier(websocket, asyncio.current_task())
        session: LiveSession | None = None
        try:
            await carrier.send(fr.MasterFrame(0, 0, fr.Challenge(challenge)))
            async with asyncio.timeout(_HELLO_S):
                hello = await _received(websocket)
            identity, certificate = self._proven(hello, challenge)
            proven()
            address = websocket.client.host if websocket.client else ""
            session = LiveSession(self._hub, carrier, identity, address)
            session.serial = serial_of(certificate)
            session.transport = "websocket"
            session.received(hello)
            while not carrier.is_closed:
                session.received(await _received(websocket))
        except (Invalid, TimeoutError) as error:
            await carrier.refuse(str(error) or "no Hello came in time")
        except (WebSocketDisconnect, ConnectionError):
            pass
        except asyncio.CancelledError:
            if not carrier.is_closed:
                raise
            with suppress(RuntimeError, OSError):
                await websocket.close()
        finally:
            if session is not None:
                session.ended()

    def _proven(self, frame: fr.AgentFrame, challenge: bytes) -> tuple[str, x509.Certificate]:
        """Returns who says Hello, with the certificate. Raises Invalid for who has not proven it:
        always the same text, so that nobody learns what was nearly right."""
        hello = frame.body
        refused = Invalid("this is no agent of this fleet", "sign the challenge as a valid one")
        if not isinstance(hello, fr.Hello) or hello.proof is None:
            raise refused
        if len(hello.proof.certificate_pem) > _MAX_PEM:
            raise refused
        try:
            certificate = x509.load_pem_x509_certificate(hello.proof.certificate_pem)
            key = certificate.public_key()
        except ValueError:
            raise refused from None
        agent = agent_of_certificate(certificate, self._authorities(), self._now())
        if agent is None or not isinstance(key, ec.EllipticCurvePublicKey):
            raise refused
        if not challenge_is_answered(key, agent, challenge, hello.proof.signature):
            raise refused
        return agent, certificate


class _Carrier:
    def __init__(self, websocket: WebSocket, task: "asyncio.Task[Any] | None") -> None:
        self._websocket = websocket
        self._task = task
        self.is_closed = False

    async def send(self, frame: fr.MasterFrame) -> None:
        try:
            await self._websocket.send_bytes(codec.encode_master(frame))
        except (RuntimeError, WebSocketDisconnect) as error:
            raise ConnectionError(str(error)) from None

    async def refuse(self, why: str) -> None:
        """Says goodbye to who never had a session, or sent what is no frame."""
        with suppress(RuntimeError, OSError):
            await self.send(fr.MasterFrame(0, 0, fr.Goodbye("unknown", why, 60.0)))
            await self._websocket.close(_POLICY)

    def close(self) -> None:
        """The door waits for a frame; it ends the connection when it is woken."""
        self.is_closed = True
        if self._task is not None:
            self._task.cancel()


async def _received(websocket: WebSocket) -> fr.AgentFrame:
    message = await websocket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    data = message.get("bytes")
    if not isinstance(data, bytes):
        raise Invalid("this is a text", "send binary messages")
    if len(data) > MAX_MESSAGE:
        raise Invalid(f"a message of {len(data)} bytes is too large", f"at most {MAX_MESSAGE}")
    return codec.decode_agent(data)
