"""Commands to a Redis, without a client of its own."""

import socket

from waiting import DEADLINE_S


def talk(port: int, *words: str) -> str:
    """One command on a connection of its own; returns the first line of its answer."""
    command = f"*{len(words)}\r\n" + "".join(f"${len(one)}\r\n{one}\r\n" for one in words)
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as stream:
        stream.sendall(command.encode())
        with stream.makefile("rb") as lines:
            return lines.readline().decode().rstrip()


def keys(port: int, pattern: str) -> list[str]:
    """The names of keys that match."""
    command = f"*2\r\n$4\r\nKEYS\r\n${len(pattern)}\r\n{pattern}\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as stream:
        stream.sendall(command.encode())
        with stream.makefile("rb") as lines:
            count = int(lines.readline()[1:])
            return [(lines.readline(), lines.readline())[1].decode().rstrip() for _ in range(count)]
