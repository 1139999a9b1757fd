"""The storm with gRPC over HTTP/2 on both sides, by a client and servers of grpcio.

    python tests/drills/storm_grpc.py --seconds 60 --workers 1,2

Half of the callers make one call after the other; the others have streams in both directions, each
of which is an echo of messages for a second. Allowed is what `storm.py` allows: UNAVAILABLE for
calls on an endpoint that died, and streams on it that are reset. Neither client nor node has
a policy of retries; what GOAWAY says was not processed, grpcio sends again, as every client may.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import grpc
import storm
from drill_parts import Endpoint
from waiting import DEADLINE_S

CALLERS = storm.CONNECTIONS // 2
CHANNELS = 8
MESSAGES, EVERY_S = 20, 0.05
BODY = b"x" * 1000
_OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_reconnect_backoff_ms", 100),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
)


Work = Callable[[grpc.aio.Channel], Awaitable[None]]


class Server(Endpoint):
    """A server of grpcio."""

    def command(self) -> list[str]:
        """What it runs."""
        return [sys.executable, __file__, "serve", str(self.port)]


class GrpcStorm(storm.Storm):
    """One run."""

    listener = "h2c = true"
    upstream = 'protocol = "h2c"'

    def endpoint(self) -> Endpoint:
        """A server."""
        return Server()

    def client(self) -> list[str]:
        """This file."""
        return [sys.executable, __file__, "call", str(self.port), f"{self.seconds:g}"]


async def _one(request: bytes, _: grpc.aio.ServicerContext) -> bytes:
    return request


async def _both(
    requests: AsyncIterator[bytes], _: grpc.aio.ServicerContext
) -> AsyncIterator[bytes]:
    async for request in requests:
        yield request


async def serve(port: int) -> None:
    """Serves until the process is killed."""
    server = grpc.aio.server()
    handlers = {
        "One": grpc.unary_unary_rpc_method_handler(_one),
        "Both": grpc.stream_stream_rpc_method_handler(_both),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("t.S", handlers),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


class Callers:
    """All callers of one process, and what they saw."""

    def __init__(self, port: int, seconds: float) -> None:
        self.address = f"127.0.0.1:{port}"
        self.end = time.time() + seconds
        self.answers = self.failures = 0
        self.worst = 0.0

    async def run(self) -> None:
        """Calls until the time is over, and prints the whole."""
        channels = [grpc.aio.insecure_channel(self.address, _OPTIONS) for _ in range(CHANNELS)]
        async with asyncio.TaskGroup() as group:
            for number in range(CALLERS):
                channel = channels[number % CHANNELS]
                group.create_task(self._repeat("call", self._call, channel))
                group.create_task(self._repeat("stream", self._stream, channel))
        for one in channels:
            await one.close()
        whole = {"answers": self.answers, "failures": self.failures, "closes": 0}
        sys.stdout.write(json.dumps(whole | {"worst_ms": self.worst * 1000}) + "\n")

    async def _repeat(self, kind: str, work: Work, channel: grpc.aio.Channel) -> None:
        while (began := time.time()) < self.end:
            before = self.answers
            try:
                await work(channel)
            except grpc.aio.AioRpcError as error:
                self._failed(kind, began, error, self.answers - before)

    async def _call(self, channel: grpc.aio.Channel) -> None:
        began = time.monotonic()
        answer = await channel.unary_unary("/t.S/One")(BODY, timeout=DEADLINE_S)
        assert answer == BODY
        self._answered(began)

    async def _stream(self, channel: grpc.aio.Channel) -> None:
        answers: asyncio.Queue[bytes] = asyncio.Queue()

        async def messages() -> AsyncIterator[bytes]:
            for number in range(MESSAGES):
                began, message = time.monotonic(), b"%d" % number
                yield message
                assert await answers.get() == message
                self._answered(began)
                await asyncio.sleep(EVERY_S)

        got = 0
        async for answer in channel.stream_stream("/t.S/Both")(messages(), timeout=DEADLINE_S):
            got += 1
            answers.put_nowait(answer)
        assert got == MESSAGES, "a stream ended well before its end"

    def _answered(self, began: float) -> None:
        self.answers += 1
        self.worst = max(self.worst, time.monotonic() - began)

    def _failed(self, kind: str, began: float, error: grpc.aio.AioRpcError, messages: int) -> None:
        self.failures += 1
        line = {
            "at": time.time(),
            "began": began,
            "kind": kind,
            "status": error.code().value[0],
            "reused": messages,
            "detail": error.details(),
        }
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


def _main() -> int:
    match sys.argv[1:]:
        case ["serve", port]:
            asyncio.run(serve(int(port)))
        case ["call", port, seconds]:
            asyncio.run(Callers(int(port), float(seconds)).run())
        case _:
            return storm.main(GrpcStorm, __doc__)
    return 0


if __name__ == "__main__":
    sys.exit(_main())
