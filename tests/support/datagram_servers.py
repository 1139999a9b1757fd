"""Servers of datagrams for tests: one that repeats, one that nobody is at, a real name server."""

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from peers import peer
from ports import free_port
from waiting import until


class Echo:
    """Sends back what it gets after its name, and remembers from which ports that came."""

    def __init__(self, name: bytes = b"") -> None:
        self._name = name
        self.peers: set[int] = set()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.port = free_port()
        self._socket.bind(("127.0.0.1", self.port))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                data, peer = self._socket.recvfrom(65_536)
            except OSError:
                return
            if data == b"end":
                return
            self.peers.add(peer[1])
            with suppress(OSError):
                self._socket.sendto(self._name + data, peer)

    def close(self) -> None:
        """Ends it; its port is closed then."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.sendto(b"end", ("127.0.0.1", self.port))
        self._socket.close()


@contextmanager
def closed_port() -> Iterator[int]:
    """A port that refuses datagrams, and that nobody else gets: its socket listens to itself."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        one.connect(one.getsockname())
        yield one.getsockname()[1]


@contextmanager
def name_server(folder: Path) -> Iterator[int]:
    """A dnsmasq that knows one name; yields its port, of UDP and TCP."""
    port = free_port()
    options = ["--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts"]
    options += ["--bind-interfaces", "--listen-address=127.0.0.1", f"--port={port}", "--user="]
    options += [f"--pid-file={folder}/dns.pid", "--host-record=www.test,192.0.2.7,2001:db8::7"]
    options += [f"--txt-record=long.test,{','.join(f'{n:0>200}' for n in range(12))}"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(
        [str(peer("dnsmasq")), *options],
        **quiet,  # type: ignore[call-overload]
    ) as server:
        try:
            until(lambda: "192.0.2.7" in dig(port, "www.test", "+timeout=1"), "the server answers")
            yield port
        finally:
            server.kill()


def dig(port: int, *question: str) -> str:
    """What dig prints."""
    command = [str(peer("dig")), "@127.0.0.1", "-p", str(port), "+tries=1", *question]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout
