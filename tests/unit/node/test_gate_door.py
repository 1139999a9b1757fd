"""The door of a gate over real TLS: what strangers get, and when a control plane counts as gone."""

import asyncio
import contextlib
from pathlib import Path

import loops
import msgspec
import pytest
from gate_stage import stage
from waiting import DEADLINE_S, until_async

from headgate.node.gate import door as gate_door
from headgate.node.gate.holder import SILENCE_S
from headgate.node.remote import greeting
from headgate.node.remote.credentials import Credentials
from headgate.node.remote.greeting import Hello


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The door waits for whoever knocks, however long the machine stalls."""
    monkeypatch.setattr(gate_door, "_HANDSHAKE_S", DEADLINE_S)


def test_bytes_pass_both_ways_once_a_control_plane_is_in(tmp_path: Path) -> None:
    async def play() -> None:
        async with stage(tmp_path) as on:
            stream, welcome = await on.greet()
            assert (welcome.error, welcome.link, welcome.version) == ("", 1, "1.0")
            stream[1].write(b"to the supervisor\n")
            assert await stream[0].readline() == b"to the supervisor\n"
            about = on.door.about()
            assert about.connected and about.peer is not None and about.peer.host == "ctl-1"

    loops.run(play())


@pytest.mark.parametrize(
    ("link", "reason", "words"),
    [
        ((1, 2), "", ""),
        ((2, 3), "version", "upgrade the data plane"),
        ((0, 0), "version", "upgrade the control plane"),
    ],
)
def test_versions_are_negotiated_or_refused_with_words(
    tmp_path: Path, link: tuple[int, int], reason: str, words: str
) -> None:
    async def play() -> None:
        async with stage(tmp_path) as on:
            _, welcome = await on.greet(link=link)
            assert welcome.reason == reason and words in welcome.error
            assert on.door.refusals.counts[reason] == (1 if reason else 0)

    loops.run(play())


@pytest.mark.parametrize("line", [b"GET / HTTP/1.1\r\n", b"x" * 200_000])
def test_a_first_line_that_is_no_greeting_ends_the_connection(tmp_path: Path, line: bytes) -> None:
    async def play() -> None:
        async with stage(tmp_path) as on:
            reader, writer = await on.connect()
            writer.write(line)
            with contextlib.suppress(ConnectionError):
                async with asyncio.timeout(DEADLINE_S):
                    assert await reader.read() == b""
            await until_async(lambda: on.door.refusals.counts["greeting"] == 1, "the count")

    loops.run(play())


def test_who_shows_no_certificate_gets_no_further_than_the_handshake(tmp_path: Path) -> None:
    async def play() -> None:
        async with stage(tmp_path) as on:
            with contextlib.suppress(OSError):
                reader, writer = await on.connect(with_certificate=False)
                writer.write(greeting.line(Hello((1, 1), "supervisor.sock", "a", "9", "x", 1)))
                async with asyncio.timeout(DEADLINE_S):
                    assert await reader.read() == b""
            await until_async(lambda: on.door.refusals.counts.total() == 1, "the count")
            assert not on.door.about().connected

    loops.run(play())


def test_a_data_plane_is_reached_only_through_a_link_that_is_up(tmp_path: Path) -> None:
    async def play() -> None:
        async with stage(tmp_path) as on:
            _, welcome = await on.greet("dp-1.sock")
            assert welcome.reason == "held"
            link, _ = await on.greet()
            _, welcome = await on.greet("dp-1.sock")
            assert welcome.reason == "away"  # there is none; the holder may ask
            link[1].close()
            await until_async(lambda: not on.door.about().connected, "the end of the link")
            _, welcome = await on.greet("dp-1.sock")
            assert welcome.reason == "held"

    loops.run(play())


def test_a_control_plane_that_says_nothing_loses_its_place(tmp_path: Path) -> None:
    async def play() -> None:
        async with stage(tmp_path) as on:
            await on.greet(instance="a")
            _, welcome = await on.greet(instance="b")
            assert welcome.reason == "held"
            held = on.door.holder.current
            assert held is not None
            held.heard -= SILENCE_S
            await until_async(lambda: not on.door.about().connected, "the end of the link")
            assert "said nothing" in on.door.about().error
            _, welcome = await on.greet(instance="b")
            assert welcome.error == ""

    loops.run(play())


def test_strangers_are_few_at_a_time_and_do_not_end_the_link(tmp_path: Path) -> None:
    async def play() -> None:
        async with stage(tmp_path) as on:
            link, _ = await on.greet()
            silent = [await asyncio.open_connection("127.0.0.1", on.port) for _ in range(24)]
            await until_async(lambda: on.door.refusals.counts["busy"] > 0, "a refusal")
            link[1].write(b"still here\n")
            assert await link[0].readline() == b"still here\n"
            for _, writer in silent:
                writer.close()

    loops.run(play())


def test_a_control_plane_whose_certificate_has_ended_is_let_go(tmp_path: Path) -> None:
    async def play() -> None:
        async with stage(tmp_path) as on:
            await on.greet()
            held = on.door.holder.current
            assert held is not None
            ended = msgspec.structs.replace(held.peer.certificate, not_after=1.0)
            held.peer = msgspec.structs.replace(held.peer, certificate=ended)
            await until_async(lambda: not on.door.about().connected, "the end of the link")
            assert "expired" in on.door.about().error

    loops.run(play())


def test_who_is_silent_is_found_out_though_certificates_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def renewed(_: Credentials) -> bool:
        raise ValueError("a fault of ours")

    async def play() -> None:
        async with stage(tmp_path) as on:
            monkeypatch.setattr(Credentials, "renewed", renewed)
            await on.greet()
            held = on.door.holder.current
            assert held is not None
            held.heard -= SILENCE_S
            await until_async(lambda: not on.door.about().connected, "the end of the link")
            assert "said nothing" in on.door.about().error

    loops.run(play())
