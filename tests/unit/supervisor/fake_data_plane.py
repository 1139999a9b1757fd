"""A data plane for tests: speaks the packet protocol and accepts, answering with its generation.

Run as a program: `python fake_data_plane.py FD`. Answers `closed`, drains by ending, and dies when
told to by a client that sends `die`.
"""

import json
import os
import selectors
import socket
import sys


def main() -> None:
    channel = socket.socket(fileno=int(sys.argv[1]))
    selector = selectors.DefaultSelector()
    selector.register(channel, selectors.EVENT_READ)
    held: dict[str, list[socket.socket]] = {}
    generation = 0

    def say(**message: object) -> None:
        channel.send(json.dumps(message).encode())

    while True:
        for key, _ in selector.select():
            if key.fileobj is not channel:
                _answer(key.fileobj, generation)  # type: ignore[arg-type]
                continue
            packet, fds, _, _ = socket.recv_fds(channel, 65536, 200)
            if not packet:
                return
            message = json.loads(packet)
            op, address = message["op"], message.get("address")
            if op == "start":
                generation = message["generation"]
                say(op="ready", pid=os.getpid(), plan_digest="")
            elif op == "sockets":
                held[address] = [socket.socket(fileno=fd) for fd in fds]
                for one in held[address]:
                    selector.register(one, selectors.EVENT_READ)
                say(op="sockets_ok", address=address)
            elif op == "close":
                for one in held.pop(address, []):
                    selector.unregister(one)
                    one.close()
                say(op="closed", address=address)
            elif op in {"quit", "handoff", "drain"}:
                return


def _answer(listener: socket.socket, generation: int) -> None:
    try:
        connection, _ = listener.accept()
    except BlockingIOError:
        return
    with connection:
        if connection.recv(16) == b"die":
            os._exit(1)
        connection.sendall(str(generation).encode())


if __name__ == "__main__":
    main()
