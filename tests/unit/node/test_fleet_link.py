"""A control link whose certificates are of the fleet's CA, over real TLS: who is let in."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import loops
import pytest
from fleet_ends import FleetEnds
from waiting import DEADLINE_S, Deadline, until_async

from headgate.certificates.authority import create, pin
from headgate.certificates.identity import serial_of
from headgate.node.gate import door as gate_door
from headgate.node.gate.door import Door
from headgate.node.gate.options import GateOptions
from headgate.node.link import LinkError
from headgate.node.remote import dial
from headgate.node.remote.credentials import Credentials, CredentialsError
from headgate.node.remote.dial import Dialer
from headgate.node.remote.greeting import SUPERVISOR
from headgate.node.remote.peer import Certificate
from headgate.node.remote.target import Fleet, Target, trust_of


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ends wait for each other, however long the machine stalls."""
    monkeypatch.setattr(gate_door, "_HANDSHAKE_S", DEADLINE_S)
    monkeypatch.setattr(dial, "_CONNECT_S", DEADLINE_S)


@contextlib.asynccontextmanager
async def door_of(folder: Path, data_plane: Fleet) -> AsyncIterator[Door]:
    """An open door in front of a socket that reads and says nothing."""
    listening = socket.create_server(("127.0.0.1", 0))
    address = f"127.0.0.1:{listening.getsockname()[1]}"
    options = GateOptions(str(folder), address, fleet=data_plane, master="https://master.test")
    door = Door(options, listening, "1.0", look_s=0.01)

    async def behind(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            await reader.read()
        writer.close()

    server = await asyncio.start_unix_server(behind, str(folder / "supervisor.sock"))
    running = asyncio.ensure_future(door.run())
    try:
        yield door
    finally:
        running.cancel()
        door.close()
        server.close()


async def dialled(door: Door, agent: Fleet) -> str:
    """The reason why a control plane is not let in, or does not talk; empty if it does."""
    target = Target(door.about().address, "edge.test", fleet=agent)
    dialer = Dialer(target, "1.0")
    try:
        stream, welcome, _ = await dialer.dial(SUPERVISOR)
    except LinkError as error:
        return str(error)
    stream[1].transport.abort()
    assert welcome.version == "1.0"
    return ""


def no_objection(shown: Certificate) -> str:
    """What an end says that does not look at the other one's certificate."""
    del shown
    return ""


async def until_turned_away(door: Door, agent: Fleet, words: str) -> None:
    """Waits until the data plane has read the news and answers with these words."""
    deadline = Deadline(DEADLINE_S)
    while words not in (said := await dialled(door, agent)):
        assert not deadline.has_passed(), said


def test_the_two_planes_of_one_node_know_each_other(tmp_path: Path) -> None:
    ends = FleetEnds(tmp_path)
    plane, agent = ends.end("dp", "dataplane", "a"), ends.end("ctl", "agent", "a")

    async def play() -> None:
        async with door_of(tmp_path, plane) as door:
            assert await dialled(door, agent) == ""
            ends.tell(agent, plane)
            ends.tell(plane, agent)
            assert await dialled(door, agent) == ""

    loops.run(play())


def test_an_agent_of_another_node_drives_nothing_here(tmp_path: Path) -> None:
    ends = FleetEnds(tmp_path)
    plane, other = ends.end("dp", "dataplane", "a"), ends.end("ctl", "agent", "b")

    async def play() -> None:
        async with door_of(tmp_path, plane) as door:
            # It hangs up before it has said a word: this is not its data plane, either.
            assert "the other plane of this node is headgate://dataplane/b" in await dialled(
                door, other
            )
            # One that does not look is refused by the data plane.
            dialer = Dialer(Target(door.about().address, "x", fleet=other), "1.0")
            dialer.credentials.objection = no_objection  # type: ignore[method-assign]
            with pytest.raises(LinkError, match="the other plane of this node is headgate://agent"):
                await dialer.dial(SUPERVISOR)
            assert door.refusals.counts["name"] == 1

    loops.run(play())


def test_a_certificate_of_another_role_or_another_ca_gets_no_further_than_tls(
    tmp_path: Path,
) -> None:
    ends = FleetEnds(tmp_path)
    plane = ends.end("dp", "dataplane", "a")
    foreign = ends.end(
        "far", "agent", "a", create("fleet", ends.authority.certificate.not_valid_before_utc)
    )
    # The data plane of the same node, which poses as its control plane.
    same = ends.end("same", "dataplane", "a")

    async def play() -> None:
        async with door_of(tmp_path, plane) as door:
            assert "does not accept our certificate" in await dialled(door, foreign)
            poses = Dialer(Target(door.about().address, "x", fleet=same), "1.0")
            poses.credentials.objection = no_objection  # type: ignore[method-assign]
            with pytest.raises(LinkError):
                await poses.dial(SUPERVISOR)
            await until_async(lambda: door.refusals.counts["certificate"] == 2, "two refusals")
            assert not door.about().connected

    loops.run(play())


def test_a_control_plane_talks_to_no_agent_that_poses_as_its_data_plane(tmp_path: Path) -> None:
    ends = FleetEnds(tmp_path)
    agent = ends.end("ctl", "agent", "a")

    async def play() -> None:
        heard: list[bytes] = []

        async def behind(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            heard.append(await reader.read())

        poses = Credentials(agent, is_server=True).context
        server = await asyncio.start_server(behind, "127.0.0.1", 0, ssl=poses)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(LinkError, match="certificate is refused: unsuitable"):
            await Dialer(Target(f"127.0.0.1:{port}", "x", fleet=agent), "1.0").dial(SUPERVISOR)
        server.close()
        assert not any(heard)

    loops.run(play())
    with pytest.raises(CredentialsError, match="is not one of a data plane"):
        Credentials(Fleet(agent.folder, "dataplane"), is_server=True).renewed()


def test_who_the_master_revoked_is_not_let_in_and_loses_the_link(tmp_path: Path) -> None:
    ends = FleetEnds(tmp_path)
    plane, agent = ends.end("dp", "dataplane", "a"), ends.end("ctl", "agent", "a")

    async def play() -> None:
        async with door_of(tmp_path, plane) as door:
            ends.tell(plane, agent)
            dialer = Dialer(Target(door.about().address, "x", fleet=agent), "1.0")
            stream, _, _ = await dialer.dial(SUPERVISOR)
            await until_async(lambda: door.about().connected, "the link")
            ends.tell(plane, agent, serial_of(ends.certificate(agent)))
            await until_async(lambda: not door.about().connected, "the end of the link")
            assert "was revoked" in door.about().error
            stream[1].transport.abort()
            assert "this certificate of headgate://agent/a was revoked" in await dialled(
                door, agent
            )
            ends.tell(plane, None)
            await until_turned_away(door, agent, "it was revoked or replaced")
            # The same of the other end: a stolen certificate of a data plane is of no use.
            ends.tell(plane, agent)
            ends.tell(agent, None)
            assert "it was revoked or replaced" in await dialled(door, agent)

    loops.run(play())


def test_a_renewed_certificate_is_used_at_once(tmp_path: Path) -> None:
    ends = FleetEnds(tmp_path)
    plane, agent = ends.end("dp", "dataplane", "a"), ends.end("ctl", "agent", "a")
    ends.tell(agent, plane)

    async def play() -> None:
        async with door_of(tmp_path, plane) as door:
            dialer = Dialer(Target(door.about().address, "x", fleet=agent), "1.0")
            link, _, _ = await dialer.dial(SUPERVISOR)
            ends.end("dp", "dataplane", "a")
            await until_async(
                lambda: door.about().error == "our certificates were renewed", "the new one"
            )
            assert await link[0].read() == b"", "the link ends, and comes back"
            _, _, peer = await dialer.dial(SUPERVISOR)
            assert peer.certificate.serial == serial_of(ends.certificate(plane))

    loops.run(play())


def test_an_end_that_has_not_enrolled_yet_says_so_and_then_has_its_certificate(
    tmp_path: Path,
) -> None:
    ends = FleetEnds(tmp_path)
    agent = ends.end("ctl", "agent", "a")

    async def play() -> None:
        async with door_of(tmp_path, Fleet(str(tmp_path / "dp"), "dataplane")) as door:
            door.trouble = lambda: "the master is away"
            assert door.about().certificate.trouble == "the master is away"
            assert await dialled(door, agent) != ""
            assert door.refusals.counts["unready"] == 1
            assert "has not enrolled" in door.refusals.last
            ends.end("dp", "dataplane", "a")
            await until_async(lambda: door.credentials.certificate.not_after > 0, "a certificate")
            assert await dialled(door, agent) == ""

    loops.run(play())


def test_certificates_come_from_one_source() -> None:
    with pytest.raises(ValueError, match="from files or from a fleet"):
        trust_of(None, None)


@pytest.mark.parametrize("damage", [b"", b"{", b'{"key":"\xff"}', None])
def test_who_was_revoked_stays_so_while_the_last_word_cannot_be_read(
    tmp_path: Path, damage: bytes | None
) -> None:
    ends = FleetEnds(tmp_path)
    plane, agent = ends.end("dp", "dataplane", "a"), ends.end("ctl", "agent", "a")
    ends.tell(plane, agent, serial_of(ends.certificate(agent)))
    credentials = Credentials(plane, is_server=True)
    shown = shown_by(ends, agent)
    assert "was revoked" in credentials.objection(shown)
    lose(plane, damage)
    credentials.renewed()
    assert "was revoked" in credentials.objection(shown)
    ends.tell(plane, agent)
    credentials.renewed()
    assert credentials.objection(shown) == ""


@pytest.mark.parametrize("damage", [b"", b'{"key":"\xff"}'])
def test_a_last_word_that_cannot_be_read_at_a_start_closes_the_door(
    tmp_path: Path, damage: bytes
) -> None:
    ends = FleetEnds(tmp_path)
    plane, agent = ends.end("dp", "dataplane", "a"), ends.end("ctl", "agent", "a")
    ends.tell(plane, agent)
    lose(plane, damage)
    credentials = Credentials(plane, is_server=True)
    shown = shown_by(ends, agent)
    assert "peer.json cannot be read" in credentials.objection(shown)
    ends.tell(plane, agent)
    credentials.renewed()
    assert credentials.objection(shown) == ""


def shown_by(ends: FleetEnds, one: Fleet) -> Certificate:
    """The certificate that an end shows in a handshake."""
    leaf = ends.certificate(one)
    name = f"headgate://{one.role}/a"
    return Certificate("", [name], 0.0, serial=serial_of(leaf), key=pin(leaf))


def lose(one: Fleet, damage: bytes | None) -> None:
    """Damages what an end keeps of the master's last word, or removes it."""
    file = Path(one.folder) / "peer.json"
    if damage is None:
        file.unlink()
    else:
        file.write_bytes(damage)
