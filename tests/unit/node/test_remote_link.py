"""The control plane's end of a control link: it says why it is down, and comes back."""

import json
from pathlib import Path

import loops
import pytest
from gate_stage import CONTROL, Stage, stage
from structlog.testing import capture_logs
from waiting import DEADLINE_S, until_async

from headgate.node.gate import door as gate_door
from headgate.node.link import About, LinkError
from headgate.node.remote import dial
from headgate.node.remote import link as module
from headgate.node.remote.dial import Dialer
from headgate.node.remote.link import RemoteLink
from headgate.node.remote.target import Files, Target


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ends wait for each other, however long the machine stalls."""
    monkeypatch.setattr(gate_door, "_HANDSHAKE_S", DEADLINE_S)
    monkeypatch.setattr(dial, "_CONNECT_S", DEADLINE_S)
    monkeypatch.setattr(module, "SILENCE_S", DEADLINE_S)


ABOUT = {
    "dataplane": {"generation": 1, "pid": 5, "grpc_socket": "/over/there/dp-ab-1.sock"},
    "listening": ["127.0.0.1:80"],
    "workers": 2,
    "restarts": {},
    "phase": "running",
    "config_was_applied": True,
}


def remote(on: Stage, folder: Path) -> RemoteLink:
    """A link to the door of a stage, not begun yet."""
    pair = on.authority.issue("ctl", CONTROL)
    files = Files(str(pair.cert_file), str(pair.key_file), str(on.authority.ca_file))
    target = Target(f"127.0.0.1:{on.port}", "dp.test", files)
    return RemoteLink(Dialer(target, "9.9"), folder)


def supervisor(line: bytes) -> bytes:
    """What a supervisor answers."""
    return json.dumps({"id": json.loads(line)["id"], **ABOUT}).encode() + b"\n"


def modes(folder: Path) -> dict[str, int]:
    """The files of a folder, with their modes."""
    return {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}


def test_requests_fail_with_the_reason_until_the_link_is_up(tmp_path: Path) -> None:
    async def play() -> None:
        async with stage(tmp_path, supervisor) as on:
            link = remote(on, tmp_path)
            came: list[About] = []
            link.on_linked = came.append
            with pytest.raises(LinkError, match="no control link"):
                await link.status()
            await link.hello()
            await until_async(lambda: link.unready() == "", "the link")
            assert (await link.status()).listening == ["127.0.0.1:80"]
            plane = came[0].dataplane
            assert plane is not None
            assert modes(tmp_path)[Path(plane.grpc_socket).name] == 0o600
            await link.close()
            assert Path(plane.grpc_socket).name not in modes(tmp_path)

    loops.run(play())


def test_a_link_that_was_cut_comes_back_with_another_socket(tmp_path: Path) -> None:
    async def play() -> None:
        async with stage(tmp_path, supervisor) as on:
            link = remote(on, tmp_path)
            came: list[About] = []
            lost: list[str] = []
            link.on_linked, link.on_lost = came.append, lost.append
            await link.hello()
            await until_async(lambda: len(came) == 1, "the link")
            on.authority.issue("dp", "dp.test")  # renewed: the door ends the link
            await until_async(lambda: len(came) == 2, "the link again")
            assert len(lost) == 1
            sockets = {one.dataplane.grpc_socket for one in came if one.dataplane is not None}
            assert len(sockets) == 2
            assert not link.unready()
            await link.close()

    loops.run(play())


def test_answers_that_are_not_understood_do_not_end_the_attempts(tmp_path: Path) -> None:
    async def play() -> None:
        async with stage(tmp_path, lambda line: line) as on:
            link = remote(on, tmp_path)
            await link.hello()
            await until_async(lambda: "not understood" in link.unready(), "the reason")
            seen = on.greeted
            await until_async(lambda: on.greeted > seen, "another attempt")
            await link.close()

    loops.run(play())


def test_a_fault_in_a_look_at_the_files_does_not_end_the_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BEAT_S", 0.01)

    async def play() -> None:
        async with stage(tmp_path, supervisor) as on:
            link = remote(on, tmp_path)
            came: list[About] = []
            link.on_linked = came.append
            await link.hello()
            await until_async(lambda: len(came) == 1, "the link")
            looks = 0

            def broken() -> bool:
                nonlocal looks
                looks += 1
                raise RuntimeError("can't start new thread")

            monkeypatch.setattr(link._dialer.credentials, "renewed", broken)
            await until_async(lambda: looks > 3, "looks at the files")
            assert len(came) == 1, "the link goes on with what it has"
            assert not link.unready()
            on.authority.issue("dp", "dp.test")  # renewed: the door ends the link
            await until_async(lambda: len(came) == 2, "the link again")
            await link.close()

    with capture_logs() as lines:
        loops.run(play())
    # A look between the two files of the renewed pair tells of another fault.
    told = [one for one in lines if "new thread" in str(one.get("error"))]
    assert len(told) == 1, "the same fault is told once"
