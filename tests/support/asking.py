"""Asks a port every few milliseconds until it is ended, and writes down every request.

A program of its own, so that it can run in a network namespace: PORT FILE. Each line of the file is
`[begun, ended, body, error]` with the times of the monotonic clock.
"""

import http.client
import json
import signal
import sys
import time
from pathlib import Path

_PAUSE_S = 0.01
_PATIENCE_S = 120.0


def ask(port: int) -> tuple[str, str]:
    """One request on a connection of its own: what was answered, and what went wrong."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_S)
    try:
        connection.request("GET", "/", headers={"host": "a.example"})
        answer = connection.getresponse()
        body = answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return "", repr(error)
    finally:
        connection.close()
    return body, "" if answer.status == 200 else f"status {answer.status}"


def main() -> None:
    """Runs until SIGTERM, and ends with a whole line."""
    port, path = int(sys.argv[1]), Path(sys.argv[2])
    ends: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: ends.append(number))
    with path.open("w") as lines:
        while not ends:
            begun = time.monotonic()
            body, error = ask(port)
            lines.write(json.dumps([begun, time.monotonic(), body, error]) + "\n")
            time.sleep(_PAUSE_S)


if __name__ == "__main__":
    main()
