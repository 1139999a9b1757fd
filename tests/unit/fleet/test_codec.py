"""Frames survive their bytes; bytes that are no frame are refused."""

from collections.abc import Callable

import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from headgate.fleet import codec
from headgate.fleet import frames as fr
from headgate.fleet.generated import fleet_pb2 as pb
from headgate.fleet.orders import Upgrade
from headgate.kernel.errors import Invalid

V1, V2 = fr.Version(1, "a" * 64), fr.Version(2, "b" * 64)
HELD = fr.Held("s", V2, V1, V1, V2, True)
FAULT = fr.Fault("compile", "no", True, "routes/api", "routes/api.json", 4)
AGENT = [
    fr.Hello(
        agent="a",
        epoch=3,
        program="0.1",
        instances=(fr.Instance("edge", "nginx", "1.27", ("http3",)),),
        held=HELD,
        last_fault=FAULT,
        clock_ms=5,
        proof=fr.Proof(b"pem", b"signature"),
        fault_of=V2,
        can_upgrade=True,
        upgrade_ended=fr.UpgradeEnded(5, "2.0.0", "exit code 7"),
    ),
    fr.Hello("a", 1, "0.1"),
    fr.Heartbeat(HELD, True, 7, {"requests": 2.5}),
    fr.Heartbeat(HELD, latency=fr.Latency((0.1, 1.0), (3, 1 << 60, 0)), figures_age_ms=9),
    fr.Heartbeat(HELD, instances=(fr.Instance("edge", "nginx", "1.27", ("http3", "mode=full")),)),
    fr.Heartbeat(HELD, upgrade_ended=fr.UpgradeEnded(5, "2.0.0", "exit code 7")),
    fr.Notices((fr.Notice("warn", "nginx.drift", "", "edited", 9, 3),), 4),
    fr.Fetch((fr.Want("c" * 64, 9), fr.Want("d" * 64))),
    *(
        fr.Report(4, "s", V2, phase, HELD, ("slow",), FAULT, "digest")
        for phase in fr.Phase
        if phase is not fr.Phase.OFFERED
    ),
]
MASTER = [
    fr.Challenge(b"random"),
    fr.Welcome(1, 10.0, 1 << 18, 99),
    fr.Beat(),
    fr.Beat(1.5, Upgrade(1 << 60, "2.0.0")),
    fr.Offer(3, "s", V2, b"manifest", b"signature", V1.hash, "r7", 2, 1.5, b"bound", b"files"),
    fr.Chunks((fr.Chunk("c" * 64, 1, 3, b"yz"),), ("d" * 64,)),
    fr.Goodbye("busy", "later", 2.25),
]


@pytest.mark.parametrize("body", AGENT)
def test_a_frame_of_an_agent_survives(body: fr.AgentBody) -> None:
    frame = fr.AgentFrame(1 << 60, 7, body)
    assert codec.decode_agent(codec.encode_agent(frame)) == frame


@pytest.mark.parametrize("body", MASTER)
def test_a_frame_of_a_master_survives(body: fr.MasterBody) -> None:
    frame = fr.MasterFrame(1 << 60, 7, body)
    assert codec.decode_master(codec.encode_master(frame)) == frame


_LATER = b"\xfa\x3f\x03new"
"""Field 1023, three bytes: one that this version does not know."""


def _with_later_fields(message: Message) -> bytes:
    """The message as a newer version may send it: each message in it has a field more."""
    for field, value in message.ListFields():
        if field.type != field.TYPE_MESSAGE or field.message_type.GetOptions().map_entry:
            continue
        for one in [value] if isinstance(value, Message) else value:
            one.ParseFromString(_with_later_fields(one))
    return bytes(message.SerializeToString()) + _LATER


@pytest.mark.parametrize("body", AGENT)
def test_a_field_that_a_newer_agent_adds_is_ignored(body: fr.AgentBody) -> None:
    frame = fr.AgentFrame(1, 7, body)
    newer = _with_later_fields(pb.AgentFrame.FromString(codec.encode_agent(frame)))
    assert newer.count(_LATER) > 1
    assert codec.decode_agent(newer) == frame


@pytest.mark.parametrize("body", MASTER)
def test_a_field_that_a_newer_master_adds_is_ignored(body: fr.MasterBody) -> None:
    frame = fr.MasterFrame(1, 7, body)
    newer = _with_later_fields(pb.MasterFrame.FromString(codec.encode_master(frame)))
    assert newer.count(_LATER) > 1
    assert codec.decode_master(newer) == frame


@pytest.mark.parametrize("decode", [codec.decode_agent, codec.decode_master])
def test_a_kind_of_frame_that_is_unknown_is_refused(
    decode: Callable[[bytes], fr.AgentFrame | fr.MasterFrame],
) -> None:
    # Who speaks the agreed protocol sends none of a newer one.
    with pytest.raises(Invalid, match="says nothing that this"):
        decode(b"\x08\x01" + _LATER)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_decoder(data: bytes) -> None:
    for decode in (codec.decode_agent, codec.decode_master):
        try:
            decode(data)
        except Invalid as error:
            assert ";" in str(error)


def test_a_frame_that_is_too_large_is_refused() -> None:
    with pytest.raises(Invalid, match="too large"):
        codec.decode_agent(bytes(codec.MAX_FRAME + 1))


def test_a_report_without_a_phase_is_refused() -> None:
    frame = fr.AgentFrame(1, 1, fr.Report(4, "s", V2, fr.Phase.OFFERED, HELD))
    with pytest.raises(Invalid, match="phase"):
        codec.decode_agent(codec.encode_agent(frame))


@pytest.mark.parametrize(
    ("bounds", "counts"),
    [
        ((0.1,), (1,)),
        ((), (1,)),
        ((0.2, 0.1), (1, 2, 3)),
        ((-1.0,), (1, 2)),
        ((float("nan"),), (1, 2)),
        (tuple(range(1, 66)), (0,) * 66),
    ],
)
def test_buckets_that_are_none_leave_the_heartbeat(
    bounds: tuple[float, ...], counts: tuple[int, ...]
) -> None:
    beat = fr.Heartbeat(HELD, clock_ms=3, latency=fr.Latency(bounds, counts))
    found = codec.decode_agent(codec.encode_agent(fr.AgentFrame(1, 1, beat))).body
    assert found == fr.Heartbeat(HELD, clock_ms=3)


@pytest.mark.parametrize(("scope", "is_shared"), [("s", True), ("s" * 2_000, False)])
def test_agents_that_have_the_same_versions_share_one_object(scope: str, is_shared: bool) -> None:
    held = fr.Held(scope, V2, V1, V1)
    beats = [fr.AgentFrame(3, place, fr.Heartbeat(held)) for place in (1, 2)]
    first, second = (codec.decode_agent(codec.encode_agent(one)).body for one in beats)
    assert isinstance(first, fr.Heartbeat)
    assert isinstance(second, fr.Heartbeat)
    assert first.held == second.held == held
    assert (first.held is second.held) == is_shared


def test_an_agent_that_has_another_version_is_told_apart() -> None:
    helds = (fr.Held("s", V2, V1, V1), fr.Held("s", V2, V2, V1), fr.Held("s", V2, V1, V2, V1))
    for held in helds:
        frame = fr.AgentFrame(3, 1, fr.Heartbeat(held))
        assert codec.decode_agent(codec.encode_agent(frame)) == frame


def test_a_nul_in_a_text_is_shown_and_bytes_stay() -> None:
    instances = (fr.Instance("ed\0ge", "nginx", "1.27", ("a\0", "b")),)
    proof = fr.Proof(b"p\0em", b"sign\0ature")
    hello = fr.Hello("a", 1, "0\0.1", instances=instances, proof=proof)
    got = codec.decode_agent(codec.encode_agent(fr.AgentFrame(1, 7, hello))).body
    assert isinstance(got, fr.Hello)
    assert got.program == "0\ufffd.1"
    assert got.instances == (fr.Instance("ed\ufffdge", "nginx", "1.27", ("a\ufffd", "b")),)
    assert got.proof == proof


def test_a_figure_whose_name_has_a_nul_is_dropped() -> None:
    beat = fr.Heartbeat(HELD, figures={"requests": 2.5, "re\0quests": 1.0})
    got = codec.decode_agent(codec.encode_agent(fr.AgentFrame(1, 7, beat))).body
    assert isinstance(got, fr.Heartbeat)
    assert got.figures == {"requests": 2.5}
