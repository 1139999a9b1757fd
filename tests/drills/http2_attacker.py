"""The process that attacks: `http2_attacks.py` starts it and says when.

Where the node ends the connection, the attacker opens another.
"""

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import time
from typing import Self

from http2_attack_list import ATTACKS, Attack
from http2_frames import PREFACE, setting

_STALL_S = 1.0
_END_S = 30.0
_CHUNK = 100


class Attacker:
    """It runs until the context ends, and attacks when it is told to."""

    def __init__(self, one: Attack, port: int, *, yields: bool) -> None:
        """`yields`: whatever wants to run and does not yield goes first."""
        self._command = [sys.executable, __file__, one.name, str(port), str(int(yields))]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._said()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def attack(self, count: int, seconds: float) -> tuple[int, int]:
        """Makes so many attempts, and goes on until so much time is over.

        Returns (attempts, connections).
        """
        assert self._process.stdin is not None
        self._process.stdin.write(f"{count} {seconds}\n")
        self._process.stdin.flush()
        attempts, connections = json.loads(self._said())
        return attempts, connections

    def _said(self) -> str:
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        assert said, f"the attacker ended with {self._process.wait()}"
        return said


class _Attacking:
    def __init__(self, one: Attack, port: int, count: int, seconds: float) -> None:
        self.one, self.port = one, port
        self.count, self.end = count, time.monotonic() + seconds
        self.attempts = self.connections = 0
        self.held: list[socket.socket] = []

    def run(self) -> None:
        while self.goes_on():
            self._connection()
            if len(self.held) >= self.one.held:
                self._let_go()
        self._let_go()

    def goes_on(self) -> bool:
        return self.attempts < self.count or time.monotonic() < self.end

    def _let_go(self) -> None:
        if self.held:
            time.sleep(_STALL_S)
        for one in self.held:
            one.close()
        self.held.clear()

    def _connection(self) -> None:
        link = socket.create_connection(("127.0.0.1", self.port), 30)
        self.connections += 1
        link.sendall(PREFACE + setting(3, 100) + self.one.opening)
        link.setblocking(False)
        stream = 3
        while self.goes_on():
            each = min(_CHUNK, self.one.streams or _CHUNK)
            if self.one.weight > 1:
                each = 1
            pieces = [self.one.make(stream + 2 * n) for n in range(each)]
            stream += 2 * each
            if not _sent(link, b"".join(pieces)):
                break
            self.attempts += each * self.one.weight
            if self.one.streams and stream > 2 * self.one.streams:
                self.held.append(link)
                return
        _read_to_the_end(link)


def _read_to_the_end(link: socket.socket) -> None:
    """Ends our half and waits until the node, which has then read everything, has ended its own."""
    link.settimeout(_END_S)
    with contextlib.suppress(OSError), link:
        link.shutdown(socket.SHUT_WR)
        while link.recv(1 << 16):
            pass


def _sent(link: socket.socket, data: bytes) -> bool:
    """Writes everything and reads what comes; False once the node has ended the connection."""
    view = memoryview(data)
    while view:
        readable, writable, _ = select.select([link], [link], [], 30)
        try:
            if readable and not link.recv(1 << 16):
                return False
            if writable:
                view = view[link.send(view) :]
        except BlockingIOError:
            continue
        except OSError:
            return False
        if not readable and not writable:
            return False
    return True


def _main() -> None:
    name, port, yields = sys.argv[1:]
    one = next(one for one in ATTACKS if one.name == name)
    if int(yields):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    _say([0, 0])
    for line in sys.stdin:
        count, seconds = line.split()
        attacking = _Attacking(one, int(port), int(count), float(seconds))
        attacking.run()
        _say([attacking.attempts, attacking.connections])


def _say(what: list[int]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _main()
