"""Requests to a node: whom they reach, how long they wait, what they say of who is not there."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from unclosed import nothing_left_open
from waiting import DEADLINE_S

from headgate.cli import calls

Serve = Callable[[str, bytes], None]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Answers the first connection to a socket of the node with bytes, and hangs up."""
    threads: list[threading.Thread] = []
    sockets: list[socket.socket] = []

    def begin(name: str, answer: bytes) -> None:
        listening = socket.socket(socket.AF_UNIX)
        sockets.append(listening)
        listening.bind(str(tmp_path / name))
        listening.listen()

        def run() -> None:
            with suppress(OSError), listening, listening.accept()[0] as one:
                one.sendall(answer)
                one.shutdown(socket.SHUT_WR)
                while one.recv(65_536):  # whoever still writes is not cut off
                    pass

        threads.append(threading.Thread(target=run, daemon=True))
        threads[-1].start()

    yield begin
    for left in sockets:
        with suppress(OSError):
            left.shutdown(socket.SHUT_RDWR)  # to which nobody came
    for one in threads:
        one.join(DEADLINE_S)


def test_an_answer_of_the_admin_api_has_its_status_and_body(tmp_path: Path, serve: Serve) -> None:
    serve("admin.sock", b"HTTP/1.1 409 Conflict\r\nContent-Length: 2\r\n\r\nno")
    assert calls.call(tmp_path, "POST", "/endpoint", b"{}") == calls.Answer(409, b"no")


def test_the_supervisor_answers_for_a_control_process_that_is_away(
    tmp_path: Path, serve: Serve
) -> None:
    serve("admin.sock", b"HTTP/1.1 503 No\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n")
    with pytest.raises(calls.AwayError, match="the control process of the node"):
        calls.call(tmp_path, "GET", "/status")


def test_events_before_the_supervisors_answer_are_passed_over(tmp_path: Path, serve: Serve) -> None:
    lines: list[object] = [{"event": "x"}, [1], {"id": 2, "ok": False}, {"id": 1, "ok": True}]
    serve("supervisor.sock", b"".join(json.dumps(one).encode() + b"\n" for one in lines))
    assert calls.supervisor(tmp_path, "status") == {"id": 1, "ok": True}


def test_a_supervisor_that_hangs_up_is_no_answer(tmp_path: Path, serve: Serve) -> None:
    serve("supervisor.sock", b'{"event": "x"}\n')
    with pytest.raises(calls.NoNodeError, match="hung up"):
        calls.supervisor(tmp_path, "status")


def test_a_supervisor_that_answers_nonsense_is_no_node(tmp_path: Path, serve: Serve) -> None:
    serve("supervisor.sock", b"nonsense\n")
    with pytest.raises(calls.NoNodeError, match="does not answer: "):
        calls.supervisor(tmp_path, "status")


def test_the_end_of_a_supervisor_is_waited_for(tmp_path: Path, serve: Serve) -> None:
    calls.wait_until_gone(tmp_path)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "supervisor.sock"))
        listening.listen()
        waiting = threading.Thread(target=calls.wait_until_gone, args=(tmp_path,), daemon=True)
        waiting.start()
        with listening.accept()[0] as one:
            one.sendall(b"{}\n{}\n")
            assert waiting.is_alive()
        waiting.join(DEADLINE_S)
        assert not waiting.is_alive()


def test_a_connection_waits_briefly_to_be_made_and_longer_for_its_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "_CONNECT_S", 0.05)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "supervisor.sock"))
        listening.listen(0)
        with calls._connected(tmp_path / "supervisor.sock") as one:
            assert one.gettimeout() == calls._ASK_S
            # Nobody accepts, so the queue of the socket is full.
            with pytest.raises(calls.NoNodeError, match="does not answer: "):
                calls.supervisor(tmp_path, "status")


def test_who_is_not_there_is_said_with_what_to_do(tmp_path: Path) -> None:
    def said(error: Exception) -> str:
        return str(calls.no_node(tmp_path, error))

    away = f"no node runs at {tmp_path}; choose another with --node or --state-dir"
    assert said(FileNotFoundError()) == said(ConnectionRefusedError()) == away
    assert said(PermissionError()) == f"the node at {tmp_path} belongs to another user"
    assert said(OSError("late")) == f"the node at {tmp_path} does not answer: late"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "admin.sock"))
        listening.listen()
        assert "is a control plane without a supervisor; " in said(FileNotFoundError())


def _asked(folder: Path, body: bytes | None) -> str:
    """Returns the request that a node gets, in lower case."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "admin.sock"))
        listening.listen()
        listening.settimeout(DEADLINE_S)
        got: list[bytes] = []

        def answer() -> None:
            with listening.accept()[0] as one, one.makefile("rb") as lines:
                got.extend(iter(lines.readline, b"\r\n"))
                assert lines.read(len(body or b"")) == (body or b"")
                one.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        serving = threading.Thread(target=answer)
        serving.start()
        assert calls.call(folder, "POST", "/x", body) == calls.Answer(200, b"")
        serving.join(DEADLINE_S)
    (folder / "admin.sock").unlink()
    return b"".join(got).decode().lower()


def test_a_request_says_that_its_body_is_json_if_it_has_one(tmp_path: Path) -> None:
    asked = _asked(tmp_path, b"1")
    assert asked.startswith("post /x http/1.1\r\nhost: headgate\r\n")
    assert "content-type: application/json\r\n" in asked
    assert "content-type" not in _asked(tmp_path, None)


def test_a_connection_ends_with_its_answer(tmp_path: Path, serve: Serve) -> None:
    made = calls.connection(tmp_path)
    serve("admin.sock", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calls, "connection", lambda _: made)
        assert calls.call(tmp_path, "GET", "/x").body == b"ok"
    assert made.sock is None


def test_where_nobody_is_nothing_stays_open_and_no_node_runs(tmp_path: Path) -> None:
    with nothing_left_open():
        for ask in (calls.supervisor, lambda *_: calls.call(tmp_path, "GET", "/status")):
            with pytest.raises(calls.NoNodeError, match=f"no node runs at {tmp_path}; choose"):
                ask(tmp_path, "status")


def test_the_end_of_a_supervisor_is_waited_for_however_long_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, serve: Serve
) -> None:
    waits: list[float | None] = []

    def lines(one: socket.socket) -> Iterator[bytes]:
        waits.append(one.gettimeout())
        yield from iter(lambda: one.recv(1), b"")

    monkeypatch.setattr(calls, "_lines", lines)
    serve("door.sock", b"")
    calls.wait_until_gone(tmp_path, "door.sock")
    assert waits == [None]
