"""Clients that ask a port again and again until standard input ends.

A program of its own, so that a test can run it in a network namespace. It writes `begun`, then how
many answers came and what failed.
"""

import http.client
import json
import sys
import threading

from waiting import DEADLINE_S

CLIENTS = 4
_A_CONNECTION = 50  # requests
_PAUSE_S = 0.005


class Clients:
    """The threads and what they have seen."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._ends = threading.Event()
        self.first = threading.Event()
        self.counts: list[int] = []
        self.failures: list[str] = []
        self._threads = [threading.Thread(target=self._client) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Ends them after the answers they wait for."""
        self._ends.set()
        for thread in self._threads:
            thread.join()

    def _client(self) -> None:
        count = 0
        while not self._ends.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=DEADLINE_S)
            try:
                for _ in range(_A_CONNECTION):
                    connection.request("GET", "/")
                    answer = connection.getresponse()
                    answer.read()
                    if answer.status != 200:
                        self.failures.append(f"status {answer.status}")
                    count += 1
                    self.first.set()
                    if self._ends.wait(_PAUSE_S):
                        break
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
            finally:
                connection.close()
        self.counts.append(count)


def main() -> None:
    """Runs them."""
    clients = Clients(int(sys.argv[1]))
    clients.first.wait()
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    sys.stdin.read()
    clients.end()
    sys.stdout.write(json.dumps([sum(clients.counts), clients.failures]))


if __name__ == "__main__":
    main()
