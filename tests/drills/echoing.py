"""WebSocket connections whose messages come back until standard input ends.

    echoing.py PORT

A program of its own, so that a drill can run it in a network namespace. It writes `begun`, then how
many messages came back and what failed.
"""

import json
import sys
import threading
import time

from fault_lab import many
from fault_reloads import Echo

CONNECTIONS = 4
_TURN_S = 0.001
_PAUSE_S = 0.01
"""Connections that send without a pause would take the machine from the load beside them."""


def main() -> None:
    """Runs them."""
    echoes = [Echo(int(sys.argv[1])) for _ in range(CONNECTIONS)]
    ended = threading.Event()

    def work(number: int) -> None:
        one = echoes[number]
        while not one.failure and not ended.wait(_PAUSE_S):
            one.until(time.monotonic() + _TURN_S)

    with many(CONNECTIONS, work):
        sys.stdout.write("begun\n")
        sys.stdout.flush()
        sys.stdin.read()
        ended.set()
    failures = [one.failure for one in echoes if one.failure]
    sys.stdout.write(json.dumps([sum(one.messages for one in echoes), failures]))


if __name__ == "__main__":
    main()
