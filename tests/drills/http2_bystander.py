"""Another client of a node that is attacked: a process of its own, and what it felt of the node.

    python tests/drills/http2_bystander.py PORT PID

A request is made two milliseconds after the last one was made or, if that took longer, when it is
answered, on one connection of HTTP/1.1. The time in which the client or its endpoint, process PID,
had their core or waited for it does not count (/proc/PID/schedstat): the kernel works there for
the attacker, and does so in the midst of their system calls.
"""

import gc
import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import Self

EVERY_S = 0.002
_REQUEST = b"GET /other HTTP/1.1\r\nHost: a.example\r\n\r\n"
_PATIENCE_S = 30.0
_FEWEST = 100


@dataclass(frozen=True)
class Window:
    """A stretch of the monotonic clock."""

    begin: float
    end: float


class Bystander:
    """It asks until the context ends."""

    def __init__(self, port: int, endpoint: int) -> None:
        """`endpoint`: the process of one thread that answers it."""
        self._command = [sys.executable, __file__, str(port), str(endpoint)]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "asks\n"
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.communicate()

    def end(self) -> list[tuple[float, float]]:
        """Ends it. Of each request: when it was made, and how many seconds its answer took."""
        told, _ = self._process.communicate()
        assert self._process.returncode == 0, "a request of another client failed"
        return [(at, took) for at, took in json.loads(told)]


def p99(asked: list[tuple[float, float]], window: Window) -> float:
    """The 99th percentile of the requests that were made in a window, seconds.

    Of few it is the longest; without any, the request before it took the whole window.
    """
    times = [took for at, took in asked if window.begin <= at < window.end]
    if len(times) < _FEWEST:
        return max(times, default=window.end - window.begin)
    return statistics.quantiles(times, n=100)[98]


class _Cores:
    """How long processes of one thread have had a core or waited for one."""

    def __init__(self, *pids: int) -> None:
        self._files = [os.open(f"/proc/{pid}/schedstat", os.O_RDONLY) for pid in pids]

    def seconds(self) -> float:
        """All of them together."""
        told = (os.pread(one, 100, 0).split() for one in self._files)
        return sum(int(had) + int(waited) for had, waited, _ in told) / 1e9


def _ask(port: int, endpoint: int) -> list[tuple[float, float]]:
    cores = _Cores(os.getpid(), endpoint)
    ended = threading.Event()
    threading.Thread(target=_listen, args=(ended,), daemon=True).start()
    asked = []
    with socket.create_connection(("127.0.0.1", port), _PATIENCE_S) as link:
        at = time.monotonic()
        while not ended.is_set():
            time.sleep(max(0.0, at + EVERY_S - time.monotonic()))
            before, at = cores.seconds(), time.monotonic()
            link.sendall(_REQUEST)
            answer = link.recv(1 << 16)
            while b"\r\n\r\n" not in answer:
                more = link.recv(1 << 16)
                assert more, "the connection ended"
                answer += more
            assert answer.startswith(b"HTTP/1.1 200 "), answer[:80]
            took = time.monotonic() - at
            asked.append((at, took - (cores.seconds() - before)))
    return asked


def _listen(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()


def _main() -> None:
    gc.disable()
    sys.stdout.write("asks\n")
    sys.stdout.flush()
    port, endpoint = map(int, sys.argv[1:])
    sys.stdout.write(json.dumps(_ask(port, endpoint)))


if __name__ == "__main__":
    _main()
