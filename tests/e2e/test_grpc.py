"""gRPC through a node: a client and a server of others, all four kinds of calls."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from running_node import RunningNode, config
from told import until_metric
from waiting import DEADLINE_S, until

Calls = Iterator[bytes]

SOON_S = 2.0
"""A deadline of a call that is to pass, after the call has come to the service."""


class Service:
    """A server of gRPC; its messages are plain bytes."""

    def __init__(self) -> None:
        self.seen: dict[str, str] = {}
        self.calls = 0
        self.release = threading.Event()
        self.came = threading.Event()
        self.cancelled = threading.Event()
        self._server = grpc.server(ThreadPoolExecutor(16))
        handlers = {
            "One": grpc.unary_unary_rpc_method_handler(self._one),
            "In": grpc.stream_unary_rpc_method_handler(self._in),
            "Out": grpc.unary_stream_rpc_method_handler(self._out),
            "Both": grpc.stream_stream_rpc_method_handler(self._both),
            "Fail": grpc.unary_unary_rpc_method_handler(self._fail),
            "Twice": grpc.unary_unary_rpc_method_handler(self._twice),
            "Hang": grpc.unary_unary_rpc_method_handler(self._hang),
        }
        generic = grpc.method_handlers_generic_handler("t.S", handlers)
        self.state = 1
        check = {"Check": grpc.unary_unary_rpc_method_handler(lambda *_: bytes([8, self.state]))}
        health = grpc.method_handlers_generic_handler("grpc.health.v1.Health", check)
        self._server.add_generic_rpc_handlers((generic, health))
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def _one(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self.seen = {str(key): str(value) for key, value in context.invocation_metadata()}
        context.set_trailing_metadata((("x-last", "words"),))
        return request[::-1]

    def _in(self, requests: Calls, _: grpc.ServicerContext) -> bytes:
        return b"+".join(requests)

    def _out(self, request: bytes, _: grpc.ServicerContext) -> Calls:
        yield from request.split(b" ")

    def _both(self, requests: Calls, _: grpc.ServicerContext) -> Calls:
        for request in requests:
            yield request.upper()

    def _fail(self, _: bytes, context: grpc.ServicerContext) -> bytes:
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not like that: 100 %")
        raise AssertionError

    def _twice(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self.calls += 1
        if self.calls % 2:
            context.abort(grpc.StatusCode.UNAVAILABLE, "not yet")
        return request

    def _hang(self, _: bytes, context: grpc.ServicerContext) -> bytes:
        if context.add_callback(self.cancelled.set):  # it was not over before it came
            self.came.set()
        self.release.wait(DEADLINE_S)
        return b"late"

    def stop(self) -> None:
        """Ends it."""
        self.release.set()
        self._server.stop(None)


@pytest.fixture
def service() -> Iterator[Service]:
    """A running server."""
    one = Service()
    yield one
    one.stop()


def serving(port: int, upstream: int, keys: str = "") -> str:
    """A config with HTTP/2 on both sides."""
    text = config(port, f"127.0.0.1:{upstream}") + f'protocol = "h2c"\n{keys}\n'
    return text.replace("[listeners.web]\n", "[listeners.web]\nh2c = true\n")


@contextmanager
def channel(port: int) -> Iterator[grpc.Channel]:
    """A client's channel to the node; it hides no failure by trying again."""
    options = [("grpc.enable_retries", 0)]
    with grpc.insecure_channel(f"127.0.0.1:{port}", options) as made:
        yield made


def failure(call: Callable[[], object]) -> grpc.RpcError:
    """The error that a call ends with."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value


def test_all_kinds_of_calls_pass(folder: Path, port: int, service: Service) -> None:
    with (
        RunningNode(folder, serving(port, service.port)).until_ready() as node,
        channel(port) as to,
    ):
        one = to.unary_unary("/t.S/One")
        answer, call = one.with_call(b"abc", timeout=DEADLINE_S, metadata=(("x-a", "b"),))
        assert answer == b"cba"
        assert dict(call.trailing_metadata())["x-last"] == "words"
        assert service.seen["x-a"] == "b"
        large = bytes(i % 251 for i in range(1_000_000))
        assert one(large, timeout=DEADLINE_S) == large[::-1]
        parts = [b"a", b"b" * 100_000, b"c"]
        assert to.stream_unary("/t.S/In")(iter(parts), timeout=DEADLINE_S) == b"+".join(parts)
        words = to.unary_stream("/t.S/Out")(b"some words more", timeout=DEADLINE_S)
        assert list(words) == [b"some", b"words", b"more"]
        assert node.metric("headgate_http2_upstream_connections_opened_total") <= 4


def test_messages_pass_in_both_directions_while_both_are_open(
    folder: Path, port: int, service: Service
) -> None:
    with RunningNode(folder, serving(port, service.port)).until_ready(), channel(port) as to:
        answered = threading.Semaphore(1)

        def messages() -> Calls:
            for number in range(20):
                # The next message leaves only once the last one was answered.
                assert answered.acquire(timeout=DEADLINE_S)
                yield b"word %d" % number

        got = []
        for answer in to.stream_stream("/t.S/Both")(messages(), timeout=DEADLINE_S):
            got.append(answer)
            answered.release()
        assert got == [b"WORD %d" % number for number in range(20)]


def test_the_status_of_the_service_reaches_the_client(
    folder: Path, port: int, service: Service
) -> None:
    with RunningNode(folder, serving(port, service.port)).until_ready(), channel(port) as to:
        error = failure(lambda: to.unary_unary("/t.S/Fail")(b"", timeout=DEADLINE_S))
        assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert error.details() == "not like that: 100 %"
        error = failure(lambda: to.unary_unary("/t.S/None")(b"", timeout=DEADLINE_S))
        assert error.code() is grpc.StatusCode.UNIMPLEMENTED


def test_failures_of_the_node_are_those_of_grpc(folder: Path, port: int, dead: int) -> None:
    with RunningNode(folder, serving(port, dead)).until_ready() as node, channel(port) as to:
        one = to.unary_unary("/t.S/One")
        error = failure(lambda: one(b"", timeout=DEADLINE_S))
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert error.details() == "the upstream could not be reached"
        node.write(serving(port, dead).replace('hosts = ["*"]', 'hosts = ["other.example"]'))
        assert node.admin("POST", "/reload")[0] == 200
        error = failure(lambda: one(b"", timeout=DEADLINE_S))
        assert error.code() is grpc.StatusCode.UNIMPLEMENTED
        assert error.details() == "no route matches this request"


def test_a_deadline_of_the_route_or_the_client_ends_the_call(
    folder: Path, port: int, service: Service
) -> None:
    text = serving(port, service.port)
    with RunningNode(folder, text).until_ready() as node, channel(port) as to:
        hang = to.unary_unary("/t.S/Hang")

        def ends_there() -> bool:
            error = failure(lambda: hang(b"", timeout=SOON_S))
            assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            return service.came.is_set()

        # A call that is held up is over before it has come to the service.
        until(ends_there, "a call ends at the service")
        until(service.cancelled.is_set, "the service hears of it")
        limited = text.replace('upstream = "app"\n', 'upstream = "app"\ntimeouts.request = "2s"\n')
        node.write(limited)
        assert node.admin("POST", "/reload")[0] == 200
        error = failure(lambda: hang(b"", timeout=DEADLINE_S))
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert error.details() == "the request took longer than allowed here"


def test_a_call_is_tried_again_if_the_route_names_its_code(
    folder: Path, port: int, service: Service
) -> None:
    keys = '[routes.all.retry]\non = "grpc-unavailable"'
    text = serving(port, service.port) + keys + "\n"
    with RunningNode(folder, text).until_ready() as node, channel(port) as to:
        for _ in range(3):
            assert to.unary_unary("/t.S/Twice")(b"abc", timeout=DEADLINE_S) == b"abc"
        assert service.calls == 6
        until_metric(node, 'headgate_retries_total{reason="status"}', 3)


def test_an_endpoint_is_down_while_its_health_service_says_so(
    folder: Path, port: int, service: Service
) -> None:
    keys = (
        'health_check = { protocol = "grpc", interval = "2s", timeout = "2s", '
        'fast_interval = "100ms", max_interval = "2s" }'
    )

    def why(node: RunningNode) -> str:
        (one,) = json.loads(node.admin("GET", "/health")[1])["upstreams"][0]["endpoints"]
        return f"{one['state']}: {one['why']}"

    with RunningNode(folder, serving(port, service.port, keys)).until_ready() as node:
        until(lambda: why(node).startswith("up"), "the first check")
        service.state = 2
        said = re.compile(r"down: .*the service is NOT_SERVING", re.DOTALL)
        until(lambda: said.match(why(node)) is not None, "the end of service")
        service.state = 1
        until(lambda: why(node).startswith("up"), "the service")
