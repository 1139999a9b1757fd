"""The filter of system calls, carried out by an interpreter of its few instructions."""

import errno
import struct

import pytest

from headgate.engines.nginx.instance import confined_calls

ALLOW = 0x7FFF0000
ERRNO = 0x00050000
AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
COLUMN = {"x86_64": 0, "aarch64": 1}


def answer(program: bytes, machine: str, number: int, *arguments: int) -> int:
    """What the kernel would do about a call (seccomp(2))."""
    padded = (*arguments, 0, 0, 0, 0, 0, 0)[:6]
    data = struct.pack("=iIQ6Q", number, AUDIT[machine], 0, *padded)
    code = list(struct.iter_unpack("=HBBI", program))
    at = loaded = 0
    while True:
        kind, yes, no, value = code[at]
        at += 1
        if kind == 0x06:
            return int(value)
        if kind == 0x20:
            loaded = struct.unpack_from("=I", data, value)[0]
            continue
        matches = {0x15: loaded == value, 0x35: loaded >= value, 0x45: bool(loaded & value)}[kind]
        at += yes if matches else no


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("network", [False, True])
def test_each_call_gets_its_answer_and_others_pass(machine: str, network: bool) -> None:
    program = confined_calls.program(machine, network=network)
    assert program is not None
    column = COLUMN[machine]
    named: set[int] = set()
    for calls, wanted in (
        (confined_calls.DENIED, ERRNO | errno.EACCES),
        (confined_calls.PRETENDED, ERRNO),
        (confined_calls.NETWORK, ALLOW if network else ERRNO | errno.EACCES),
    ):
        for name, numbers in calls.items():
            if numbers[column] >= 0:
                assert numbers[column] not in named, name
                named.add(numbers[column])
                assert answer(program, machine, numbers[column]) == wanted, name
    special = {56, 435, 72, 16, 302} if machine == "x86_64" else {220, 435, 25, 29, 261}
    for number in set(range(470)) - named - special:
        assert answer(program, machine, number) == ALLOW, number


def test_calls_are_told_by_their_arguments() -> None:
    program = confined_calls.program("x86_64", network=False)
    assert program is not None
    denied = ERRNO | errno.EACCES
    assert answer(program, "x86_64", 56, 0x01200011) == ALLOW  # fork
    assert answer(program, "x86_64", 56, 0x10000011) == denied  # CLONE_NEWUSER
    assert answer(program, "x86_64", 435) == ERRNO | errno.ENOSYS
    assert answer(program, "x86_64", 72, 3, 2) == ALLOW  # F_SETFD
    assert answer(program, "x86_64", 72, 3, 8) == denied  # F_SETOWN
    assert answer(program, "x86_64", 16, 3, 0x5421) == ALLOW  # FIONBIO
    assert answer(program, "x86_64", 16, 3, 0x8901) == denied  # FIOSETOWN
    assert answer(program, "x86_64", 302, 0) == ALLOW
    assert answer(program, "x86_64", 302, 1) == denied
    assert answer(program, "x86_64", 0x40000000 | 1) == denied  # x32


def test_another_machine_has_no_filter() -> None:
    assert confined_calls.program("riscv64", network=False) is None
