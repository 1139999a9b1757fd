"""Connections that end while we send (tests/support/cut_off.py)."""

import re
import socket
import struct
from pathlib import Path

import pytest
from cut_off import CutOff
from waiting import DEADLINE_S

TESTS = Path(__file__).parents[1]
RESET = struct.pack("ii", 1, 0)


@pytest.mark.parametrize("call", ["write", "half-close", "read"])
def test_whichever_call_is_told_of_the_end_goes_on(call: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        link = socket.create_connection(listener.getsockname(), DEADLINE_S)
        peer, _ = listener.accept()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        peer.close()
        with link, CutOff() as cut:
            if call == "read":
                link.recv(1)
            with CutOff() as told:
                link.recv(1)
            assert told.happened
            if call == "write":
                link.sendall(b"x")
            link.shutdown(socket.SHUT_WR)
    assert cut.happened


def test_another_error_is_an_error() -> None:
    with pytest.raises(OSError, match="Bad file"), CutOff():
        socket.close(-1)


def test_no_test_names_a_few_of_these_errors() -> None:
    few = re.compile(
        r"(except|suppress|raises)\W+\(?(Connection" + "ResetError|Broken" + "PipeError)"
    )
    tests = [*TESTS.rglob("test_*.py"), *TESTS.glob("support/*.py")]
    assert [path for path in tests if few.search(path.read_text())] == []
