"""nginx's pages about itself, over Unix sockets and TCP, good and bad."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from waiting import DEADLINE_S

from headgate.engines.nginx.observe import status

_PAGE = (
    b"Active connections: 3 \nserver accepts handled requests\n 16 15 40 \n"
    b"Reading: 0 Writing: 1 Waiting: 2 \n"
)
_Served = tuple[str, list[bytes]]


def _serve(listener: socket.socket, asked: list[bytes], answer: bytes) -> None:
    listener.listen()

    def run() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                asked.append(connection.recv(65536))
                connection.sendall(answer)

    threading.Thread(target=run, daemon=True).start()


@pytest.fixture
def page(tmp_path: Path) -> Iterator[_Served]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s.sock"))
        asked: list[bytes] = []
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(_PAGE)
        _serve(listener, asked, head + _PAGE)
        yield f"unix:{tmp_path / 's.sock'}:/stub_status", asked


def test_the_page_is_read_over_a_unix_socket(page: _Served) -> None:
    where, asked = page
    assert status.stub_status(where, DEADLINE_S) == status.StubStatus(3, 16, 15, 40, 0, 1, 2)
    assert asked[0].startswith(b"GET /stub_status HTTP/1.1\r\n")


def test_the_page_is_read_from_a_url() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(_PAGE)
        _serve(listener, [], head + _PAGE)
        port = listener.getsockname()[1]
        where = f"http://127.0.0.1:{port}/nginx_status"
        assert status.stub_status(where, DEADLINE_S).requests == 40


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "answered 403"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "no stub_status page"),
        (b"SSH-2.0-x\r\n", "unix:"),
        (b"", "unix:"),
    ],
)
def test_what_is_no_status_page_is_said(tmp_path: Path, answer: bytes, said: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s.sock"))
        _serve(listener, [], answer)
        with pytest.raises(status.StatusError, match=said):
            status.stub_status(f"unix:{tmp_path / 's.sock'}:/", DEADLINE_S)


@pytest.mark.parametrize("where", ["unix:/nowhere/x.sock:/s", "https://a/", "ftp://a/", "", "x"])
def test_a_place_that_cannot_be_asked_is_said(where: str) -> None:
    with pytest.raises(status.StatusError):
        status.stub_status(where)


def test_a_generation_may_come_with_the_worker_that_serves_it() -> None:
    assert status.parse_generation(b"7\n") == status.RunningGeneration(7)
    assert status.parse_generation(b"7\n33\n") == status.RunningGeneration(7, 33)
    for bad in (b"", b"seven\n", b"1 2 3\n"):
        with pytest.raises(status.StatusError):
            status.parse_generation(bad)


@given(st.binary(max_size=300))
def test_no_bytes_make_a_parser_fail_in_another_way(page: bytes) -> None:
    for parse in (status.parse_stub_status, status.parse_generation):
        try:
            parse(page)
        except status.StatusError:
            continue
