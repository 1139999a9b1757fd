"""The native engine against a data plane that keeps what it is given."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc.aio
import loops
import pytest
from fake_service import EMPTY, FakeService

from headgate.engines.native.engine import NativeEngine
from headgate.engines.native.generated import plan_pb2 as pb
from headgate.engines.native.messages import full_messages
from headgate.engines.native.sizes import MAX_MESSAGE, too_large
from headgate.engines.native.types import Applied, Refused, TooLargeError
from headgate.engines.types import EngineUnavailableError
from headgate.kernel.ids import BlobId
from headgate.plan.digest import blob_id
from headgate.plan.objects import Certificate, Endpoint, Upstream
from headgate.plan.plan import Plan, PlanEntry, entry, plan_of

Body = Callable[[NativeEngine, FakeService], Awaitable[None]]


def upstream(name: str, address: str = "127.0.0.1:1") -> PlanEntry:
    return entry("upstream", name, Upstream(endpoints=(Endpoint(address=address),)))


def plan(*entries: PlanEntry) -> Plan:
    return plan_of(entries)


@pytest.fixture
def session(tmp_path: Path) -> Callable[[Body], None]:
    """Runs a test's body with a connected engine and its data plane."""

    def run(body: Body) -> None:
        async def all_of_it() -> None:
            service, engine = FakeService(), NativeEngine("test")
            await service.start(tmp_path / "dp.sock")
            await engine.connect(str(tmp_path / "dp.sock"))
            try:
                await body(engine, service)
            finally:
                await engine.close()
                await service.stop()

        loops.run(all_of_it())

    return run


def test_the_greeting_tells_which_plan_is_held(session: Callable[[Body], None]) -> None:
    async def body(engine: NativeEngine, service: FakeService) -> None:
        assert engine.identity is not None
        assert engine.identity.generation == service.generation
        assert engine.held_digest == EMPTY

    session(body)


def test_a_first_plan_goes_in_full_and_the_next_as_a_delta(
    session: Callable[[Body], None],
) -> None:
    async def body(engine: NativeEngine, service: FakeService) -> None:
        first = plan(upstream("a"), upstream("b"))
        assert await engine.apply(first, {}) == Applied(first.digest.hex(), changed=True)
        second = plan(upstream("a"), upstream("c"))
        assert await engine.apply(second, {}) == Applied(second.digest.hex(), changed=True)
        full, delta = service.transactions
        assert full[0].begin.full
        assert delta[0].begin.base_digest == first.digest.hex()
        changes = [(c.name, c.delete) for m in delta for c in m.changes.changes]
        assert changes == [("b", True), ("c", False)]
        assert service.digest == second.digest.hex()

    session(body)


def test_the_same_plan_again_sends_nothing(session: Callable[[Body], None]) -> None:
    async def body(engine: NativeEngine, service: FakeService) -> None:
        await engine.apply(plan(upstream("a")), {})
        again = await engine.apply(plan(upstream("a")), {})
        assert isinstance(again, Applied)
        assert not again.changed
        assert len(service.transactions) == 1

    session(body)


def test_a_data_plane_that_holds_something_else_gets_everything(
    session: Callable[[Body], None],
) -> None:
    async def body(engine: NativeEngine, service: FakeService) -> None:
        await engine.apply(plan(upstream("a")), {})
        service.objects = {}  # as if it had been replaced by one with another last good plan
        wanted = plan(upstream("a"), upstream("b"))
        assert isinstance(await engine.apply(wanted, {}), Applied)
        assert [t[0].begin.full for t in service.transactions] == [True, False, True]

    session(body)


def test_material_is_sent_when_it_is_asked_for(session: Callable[[Body], None]) -> None:
    async def body(engine: NativeEngine, service: FakeService) -> None:
        cert, key = b"chain", b"key"
        blobs = {blob_id(cert): cert, blob_id(key): key}
        service.needs = set(blobs)
        value = Certificate(cert=blob_id(cert), key=blob_id(key))
        wanted = plan(entry("certificate", "x", value, blobs))
        assert isinstance(await engine.apply(wanted, blobs), Applied)
        assert service.blobs == blobs
        assert len(service.transactions) == 2

    session(body)


def test_a_refusal_names_the_object_and_changes_nothing(session: Callable[[Body], None]) -> None:
    async def body(engine: NativeEngine, service: FakeService) -> None:
        await engine.apply(plan(upstream("a")), {})
        service.refuse = "b"
        outcome = await engine.apply(plan(upstream("a"), upstream("b")), {})
        assert isinstance(outcome, Refused)
        assert [(e.kind, e.name, e.path) for e in outcome.errors] == [("upstream", "b", "x")]
        assert engine.held_digest == plan(upstream("a")).digest.hex()

    session(body)


def test_a_data_plane_that_went_away_is_an_error_that_can_be_retried(
    session: Callable[[Body], None],
) -> None:
    async def body(engine: NativeEngine, service: FakeService) -> None:
        await service.stop()
        with pytest.raises(EngineUnavailableError):
            await engine.apply(plan(upstream("a")), {})

    session(body)


@pytest.mark.parametrize(
    ("step", "error"),
    [("write", asyncio.InvalidStateError), ("done_writing", grpc.aio.InternalError)],
)
def test_a_call_that_breaks_while_a_plan_is_sent_can_be_retried(
    session: Callable[[Body], None],
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    error: type[Exception],
) -> None:
    async def body(engine: NativeEngine, service: FakeService) -> None:
        async def broken(*_: object) -> None:
            # What gRPC raises when the other side leaves in the moment of this step.
            await service.stop()
            raise error("the call has ended")

        monkeypatch.setattr(f"grpc.aio._call.StreamUnaryCall.{step}", broken)
        with pytest.raises(EngineUnavailableError):
            await engine.apply(plan(upstream("a")), {})

    session(body)


def test_status_metrics_and_events_come_in_our_own_types(session: Callable[[Body], None]) -> None:
    async def body(engine: NativeEngine, _service: FakeService) -> None:
        status = await engine.client().status(endpoints=True)
        assert status.upstreams[0].endpoints[0].requests == 3
        assert (await engine.client().metrics()).endswith(b"http_requests_total 3\n")
        events = [event async for event in engine.client().events()]
        assert [event.kind for event in events] == ["resolver.failed"]

    session(body)


def test_closing_during_a_call_is_not_a_cancellation(session: Callable[[Body], None]) -> None:
    async def body(engine: NativeEngine, service: FakeService) -> None:
        call = asyncio.create_task(engine.client().metrics())
        await asyncio.sleep(0)
        await engine.close()
        result = (await asyncio.gather(call, return_exceptions=True))[0]
        assert isinstance(result, bytes | EngineUnavailableError)

    session(body)


def test_messages_stay_below_the_limit() -> None:
    many = plan(*(upstream(f"u{i:05}", f"host-{i:05}.example:8080") for i in range(20_000)))
    sent = list(full_messages(many, {}))
    assert max(map(len, sent)) <= MAX_MESSAGE
    messages = [pb.ApplyMessage.FromString(message) for message in sent]
    assert sum(len(m.changes.changes) for m in messages) == 20_000
    assert len(messages) > 3


def test_an_object_that_fits_no_message_is_named() -> None:
    huge = Upstream(endpoints=tuple(Endpoint(address=f"{'x' * 60}{i}:1") for i in range(20_000)))
    with pytest.raises(TooLargeError, match="upstream huge"):
        list(full_messages(plan(entry("upstream", "huge", huge)), {}))
    (said,) = too_large(plan(entry("upstream", "huge", huge), upstream("u", "a:1")), {})
    assert (said.kind, said.name) == ("upstream", "huge")
    assert re.fullmatch(r"upstream huge has \d+ bytes; at most 1048576 can be .*", said.message)


def test_a_blob_that_fits_no_message_is_that_of_its_object() -> None:
    sha256 = BlobId("a" * 64)
    one = plan(entry("upstream", "app", Upstream(endpoints=()), [sha256]))
    assert too_large(one, {sha256: bytes(MAX_MESSAGE - 128)}) == ()
    (said,) = too_large(one, {sha256: bytes(MAX_MESSAGE - 127)})
    assert (said.kind, said.name) == ("upstream", "app")
    assert said.message.startswith("a file that it names has 1048449 bytes; at most 1048576")
