"""Ports that tests get: each once, and none that the kernel gives out."""

import socket
import subprocess
import sys
from pathlib import Path

import ports
import pytest


@pytest.mark.parametrize("ephemeral", [(32_768, 60_999), (1_024, 40_000), (15_000, 64_000)])
def test_the_kernels_own_range_is_left_out(ephemeral: tuple[int, int]) -> None:
    low, high = ephemeral
    found = [port for block in ports.blocks(ephemeral) for port in block]
    assert len(found) == len(set(found)) > 1000
    assert all(10_000 <= port < low or high < port <= 65_535 for port in found)


def test_without_room_beside_it_there_are_ports_all_the_same() -> None:
    assert ports.blocks((1_024, 65_535))


def test_none_is_given_out_twice_however_many_are_taken() -> None:
    taken = ports.free_ports(2 * ports.BLOCK + 1)
    assert len(set(taken)) == len(taken)


def test_when_none_is_left_that_is_said() -> None:
    with pytest.raises(RuntimeError, match="no ports are left"):
        ports.Ports([]).take()


def test_another_process_gets_others() -> None:
    many = ports.BLOCK + 1
    code = f"import ports; print(*ports.free_ports({many}), flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=Path(ports.__file__).parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        theirs = {int(port) for port in other.stdout.readline().split()}
        ours = set(ports.free_ports(many))
        other.communicate("\n")
    assert len(theirs) == len(ours) == many
    assert not theirs & ours


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_a_port_that_somebody_holds_is_passed_over(address: str) -> None:
    own = ports.Ports(ports.blocks((32_768, 60_999)))
    with socket.socket() as holder:
        held = own.take() + 1
        # A connection of an earlier test that has just ended may still have it.
        while not _is_bound(holder, address, held):
            held += 1
        while (port := own.take()) < held:
            pass
        assert port > held


def _is_bound(one: socket.socket, address: str, port: int) -> bool:
    try:
        one.bind((address, port))
    except OSError:
        return False
    return True


def test_a_dead_port_refuses() -> None:
    with ports.dead_port() as port, pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 5)
