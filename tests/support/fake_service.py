"""A data plane for tests: the gRPC service on a Unix socket, plans kept and checked by digest."""

from collections.abc import AsyncIterator
from pathlib import Path

import grpc.aio

from headgate.engines.native.generated import plan_pb2 as pb
from headgate.kernel.ids import ObjectName
from headgate.plan.digest import DigestTree, blob_id, object_digest
from headgate.plan.kinds import KINDS, ObjectKey

EMPTY = DigestTree().root.hex()


class FakeService:
    """Serves what it is given; `refuse` names an object to refuse, `blobs` is what it has.

    `is_passing`: it refuses that for now alone.
    """

    def __init__(self, generation: int = 1) -> None:
        self.generation = generation
        self.objects: dict[ObjectKey, bytes] = {}
        self.blobs: dict[str, bytes] = {}
        self.needs: set[str] = set()
        self.refuse = ""
        self.is_passing = False
        self.is_leaving = False
        self.transactions: list[list[pb.ApplyMessage]] = []
        self._server: grpc.aio.Server | None = None

    @property
    def digest(self) -> str:
        """The digest of what it holds."""
        return _digest(self.objects)

    async def start(self, path: Path) -> None:
        """Serves at a path."""
        unary, stream = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
        handlers = {
            "Hello": unary(
                self._hello, pb.HelloRequest.FromString, pb.HelloReply.SerializeToString
            ),
            "Apply": grpc.stream_unary_rpc_method_handler(
                self._apply, pb.ApplyMessage.FromString, pb.ApplyReply.SerializeToString
            ),
            "Status": unary(
                self._status, pb.StatusRequest.FromString, pb.StatusReply.SerializeToString
            ),
            "Metrics": stream(
                self._metrics, pb.MetricsRequest.FromString, pb.MetricsChunk.SerializeToString
            ),
            "Events": stream(self._events, pb.EventsRequest.FromString, pb.Event.SerializeToString),
        }
        self._server = grpc.aio.server()
        service = grpc.method_handlers_generic_handler("headgate.v1.DataPlane", handlers)
        self._server.add_generic_rpc_handlers((service,))
        self._server.add_insecure_port(f"unix:{path}")
        await self._server.start()

    async def stop(self) -> None:
        """Ends at once, as a process that was killed."""
        if self._server is not None:
            await self._server.stop(None)

    async def _hello(self, _request: pb.HelloRequest, _context: object) -> pb.HelloReply:
        return pb.HelloReply(
            generation=self.generation,
            pid=1,
            plan_digest=self.digest,
            workers=2,
            draining=self.is_leaving,
        )

    async def _apply(
        self, messages: AsyncIterator[pb.ApplyMessage], _context: object
    ) -> pb.ApplyReply:
        received = [message async for message in messages]
        self.transactions.append(received)
        if self.is_leaving:
            error = pb.ObjectError(message="leaving")
            return pb.ApplyReply(outcome=pb.ApplyReply.OUTCOME_REFUSED, errors=[error])
        begin, end = received[0].begin, received[-1].end
        if not begin.full and begin.base_digest != self.digest:
            outcome = pb.ApplyReply.OUTCOME_BASE_MISMATCH
            return pb.ApplyReply(outcome=outcome, held_digest=self.digest)
        objects = {} if begin.full else dict(self.objects)
        for message in received:
            for change in message.changes.changes:
                kind = next(kind for kind in KINDS if kind == change.kind)
                key = ObjectKey(kind, ObjectName(change.name))
                if change.delete:
                    objects.pop(key)
                else:
                    objects[key] = change.canonical
                if change.name == self.refuse:
                    error = pb.ObjectError(kind=kind, name=change.name, path="x", message="no")
                    error.passing = self.is_passing
                    return pb.ApplyReply(outcome=pb.ApplyReply.OUTCOME_REFUSED, errors=[error])
            if message.HasField("blob"):
                assert blob_id(message.blob.content) == message.blob.sha256
                self.blobs[message.blob.sha256] = message.blob.content
        missing = sorted(self.needs - self.blobs.keys())
        if missing:
            outcome = pb.ApplyReply.OUTCOME_BLOBS_MISSING
            return pb.ApplyReply(outcome=outcome, missing_blobs=missing)
        assert _digest(objects) == end.digest
        self.objects = objects
        return pb.ApplyReply(outcome=pb.ApplyReply.OUTCOME_APPLIED, held_digest=self.digest)

    async def _status(self, request: pb.StatusRequest, _context: object) -> pb.StatusReply:
        reply = pb.StatusReply(plan_digest=self.digest, generation=self.generation, uptime_s=1.5)
        reply.workers.add(index=0, connections=2, requests=3)
        if request.endpoints:
            endpoint = pb.EndpointStatus(address="127.0.0.1:1", state="up", requests=3)
            reply.upstreams.add(name="app", endpoints=[endpoint])
        return reply

    async def _metrics(
        self, _request: pb.MetricsRequest, _context: object
    ) -> AsyncIterator[pb.MetricsChunk]:
        yield pb.MetricsChunk(text=b"# TYPE http_requests counter\n")
        yield pb.MetricsChunk(text=b"http_requests_total 3\n")

    async def _events(
        self, _request: pb.EventsRequest, _context: object
    ) -> AsyncIterator[pb.Event]:
        yield pb.Event(unix_ms=1, level="warn", kind="resolver.failed", object_name="app")


def _digest(objects: dict[ObjectKey, bytes]) -> str:
    changes = [(key, object_digest(key.kind, key.name, raw)) for key, raw in objects.items()]
    return DigestTree().applied(changes).root.hex()
