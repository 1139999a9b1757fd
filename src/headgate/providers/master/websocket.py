"""Carries an agent's frames over WebSocket, where gRPC cannot pass.

TLS may end before the master, so `Hello` goes out with a proof: the master's challenge, signed with
the key of the agent's certificate.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace

import websockets
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from websockets.asyncio.client import ClientConnection, connect

from headgate.fleet import codec
from headgate.fleet import frames as fr
from headgate.fleet.signing import sign_challenge
from headgate.kernel.errors import Invalid
from headgate.providers.master.fallback import LinkError

SESSION_PATH = "/api/v1/fleet/session"
_PING_S = 30.0


@dataclass(frozen=True, slots=True)
class Signer:
    """The key and the certificate with which an agent proves its name. PEM."""

    key: bytes
    certificate: bytes


class WebSocketCarrier:
    """One connection to one master."""

    def __init__(self, address: str, context: ssl.SSLContext, signer: Signer) -> None:
        """`address` is `host:port`; `context` decides whom to trust as a master."""
        self._url = f"wss://{address}{SESSION_PATH}"
        self._context = context
        self._signer = signer
        self._connection: ClientConnection | None = None
        self._challenge: bytes | None = None

    async def connect(self, within_s: float) -> None:
        """Connects and waits for the challenge; raises LinkError."""
        try:
            async with asyncio.timeout(within_s):
                self._connection = await connect(
                    self._url,
                    ssl=self._context,
                    compression=None,
                    proxy=None,
                    max_size=codec.MAX_FRAME,
                    ping_interval=_PING_S,
                )
                self._challenge = _challenge(await self._connection.recv())
        except TimeoutError:
            await self.close()
            raise LinkError(f"{self._url} does not answer within {within_s:g} s") from None
        except (OSError, websockets.WebSocketException, Invalid) as error:
            await self.close()
            raise LinkError(f"{self._url}: {error}") from None

    async def send(self, frame: bytes) -> None:
        """Sends one frame, Hello with the proof; raises LinkError."""
        if self._connection is None:
            raise LinkError("the connection is not open")
        if self._challenge is not None:
            frame, self._challenge = self._proving(frame, self._challenge), None
        try:
            await self._connection.send(frame)
        except websockets.WebSocketException as error:
            raise LinkError(str(error)) from None

    async def frames(self) -> AsyncIterator[bytes]:
        """Yields the master's frames until it ends; raises LinkError if it breaks."""
        if self._connection is None:
            raise LinkError("the connection is not open")
        try:
            async for message in self._connection:
                if isinstance(message, bytes):
                    yield message
        except websockets.WebSocketException as error:
            raise LinkError(str(error)) from None

    async def close(self) -> None:
        """Ends the connection; may be called more than once."""
        if self._connection is not None:
            with suppress(OSError):
                await self._connection.close()

    def _proving(self, data: bytes, challenge: bytes) -> bytes:
        frame = codec.decode_agent(data)
        hello = frame.body
        key = load_pem_private_key(self._signer.key, None)
        if not isinstance(hello, fr.Hello) or not isinstance(key, ec.EllipticCurvePrivateKey):
            raise LinkError("an agent says Hello first, with a key of its own kind")
        signature = sign_challenge(key, hello.agent, challenge)
        proof = fr.Proof(self._signer.certificate, signature)
        return codec.encode_agent(replace(frame, body=replace(hello, proof=proof)))


def _challenge(message: str | bytes) -> bytes:
    if not isinstance(message, bytes):
        raise Invalid("a text came", "this is no master")
    body = codec.decode_master(message).body
    if not isinstance(body, fr.Challenge):
        raise Invalid("the master sent no challenge", "check that the address is a master's")
    return body.nonce
