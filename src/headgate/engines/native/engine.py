"""Brings the data plane to a plan: the smallest change it accepts, in full when it must be."""

from collections.abc import Iterator, Mapping

from headgate.engines.native.client import DataPlaneClient
from headgate.engines.native.generated import plan_pb2 as pb
from headgate.engines.native.messages import delta_messages, full_messages
from headgate.engines.native.sizes import too_large
from headgate.engines.native.types import Applied, Identity, Refused, TooLargeError
from headgate.engines.types import EngineUnavailableError, ObjectError
from headgate.kernel.ids import BlobId
from headgate.plan.plan import Plan, diff

_ATTEMPTS = 4  # delta, in full, with blobs, and once more after a change of data plane


class NativeEngine:
    """Knows which data plane serves and which plan it holds."""

    def __init__(self, version: str) -> None:
        """`version`: ours, which it sends to data planes."""
        self._version = version
        self._client: DataPlaneClient | None = None
        self._identity: Identity | None = None
        self._socket = ""
        self._held = ""
        self._known: Plan = Plan()

    @property
    def identity(self) -> Identity | None:
        """The data plane we are connected to, as it answered the greeting."""
        return self._identity

    @property
    def socket(self) -> str:
        """The socket of the data plane that we are connected to; empty while there is none."""
        return self._socket

    @property
    def held_digest(self) -> str:
        """The digest (hex) of the plan the data plane serves, as last heard; empty = unknown."""
        return self._held

    def client(self) -> DataPlaneClient:
        """Returns the channel to the data plane;
        raises EngineUnavailableError while there is none.
        """
        if self._client is None:
            raise EngineUnavailableError("there is no data plane yet")
        return self._client

    async def connect(self, grpc_socket: str) -> Identity:
        """Connects to the data plane at this socket and leaves the one before."""
        await self.close()
        client = DataPlaneClient(grpc_socket)
        try:
            self._identity = await client.hello(self._version)
        except EngineUnavailableError:
            await client.close()
            raise
        self._client, self._socket = client, grpc_socket
        self._held = self._identity.plan_digest
        return self._identity

    async def close(self) -> None:
        """Does nothing to the data plane."""
        client, self._client, self._identity = self._client, None, None
        self._socket = ""
        if client is not None:
            await client.close()

    async def apply(self, plan: Plan, blobs: Mapping[BlobId, bytes]) -> Applied | Refused:
        """Makes every worker serve `plan`, or nothing at all.

        `blobs` holds at least the material that `plan` names; it sends only what the data plane
        lacks. Raises EngineUnavailableError if it goes away: connect again, then try again.
        """
        digest = plan.digest.hex()
        if self._held == digest:
            self._known = plan
            return Applied(digest, changed=False)
        wanted: frozenset[BlobId] = frozenset()
        for _ in range(_ATTEMPTS):
            missing = wanted - blobs.keys()
            if missing:
                raise EngineUnavailableError(f"the data plane asks for unknown material {missing}")
            sent = {blob: blobs[blob] for blob in wanted}
            try:
                reply = await self.client().apply(self._messages(plan, blobs, sent))
            except TooLargeError:
                return Refused(too_large(plan, blobs))
            if reply.outcome == pb.ApplyReply.OUTCOME_APPLIED:
                self._known, self._held = plan, digest
                return Applied(digest, True, reply.compile_us, reply.swap_us)
            if reply.outcome == pb.ApplyReply.OUTCOME_REFUSED:
                found = [
                    ObjectError(e.kind, e.name, e.path, e.message, e.passing) for e in reply.errors
                ]
                await self._check_it_stays(found)
                return Refused(tuple(found))
            if reply.outcome == pb.ApplyReply.OUTCOME_BASE_MISMATCH:
                self._held = reply.held_digest
                self._known = Plan()  # it holds another plan: send everything
            elif reply.outcome == pb.ApplyReply.OUTCOME_BLOBS_MISSING:
                wanted |= {BlobId(blob) for blob in reply.missing_blobs}
        raise EngineUnavailableError("the data plane never agreed on what it holds")

    async def _check_it_stays(self, errors: list[ObjectError]) -> None:
        """Raises EngineUnavailableError if the refusal is that of a data plane that leaves."""
        if all(error.kind for error in errors):
            return
        self._identity = await self.client().hello(self._version)
        if self._identity.draining:
            raise EngineUnavailableError("the data plane is leaving")

    def _messages(
        self, plan: Plan, blobs: Mapping[BlobId, bytes], sent: dict[BlobId, bytes]
    ) -> Iterator[bytes]:
        """Yields a delta with the material of what changed, or everything
        with what was asked for.
        """
        if self._known.objects and self._known.digest.hex() == self._held:
            delta = diff(self._known, plan)
            changed = {blob: blobs[blob] for entry in delta.puts for blob in entry.blobs}
            return delta_messages(delta, changed | sent)
        return full_messages(plan, sent)
