"""Another client of a node that is attacked: a process of its own, and what it felt.

    python tests/drills/http2_bystander.py PORT

A request is made two milliseconds after the last one was made or, if that took longer, when it is
answered, on one connection of HTTP/1.1.
"""

import gc
import json
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

    def __init__(self, port: int) -> None:
        self._command = [sys.executable, __file__, str(port)]

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


def _ask(port: int) -> list[tuple[float, float]]:
    ended = threading.Event()
    threading.Thread(target=_listen, args=(ended,), daemon=True).start()
    asked = []
    with socket.create_connection(("127.0.0.1", port), _PATIENCE_S) as link:
        at = time.monotonic()
        while not ended.is_set():
            time.sleep(max(0.0, at + EVERY_S - time.monotonic()))
            at = time.monotonic()
            link.sendall(_REQUEST)
            answer = link.recv(1 << 16)
            while b"\r\n\r\n" not in answer:
                more = link.recv(1 << 16)
                assert more, "the connection ended"
                answer += more
            assert answer.startswith(b"HTTP/1.1 200 "), answer[:80]
            asked.append((at, time.monotonic() - at))
    return asked


def _listen(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()


def _main() -> None:
    gc.disable()
    sys.stdout.write("asks\n")
    sys.stdout.flush()
    sys.stdout.write(json.dumps(_ask(int(sys.argv[1]))))


if __name__ == "__main__":
    _main()
