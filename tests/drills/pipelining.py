"""Pipelined requests over plain TCP and TLS, cut at random places: every one must be answered.

`python tests/drills/pipelining.py --requests 3000 --turns 5` sends so many GETs on one connection
in pieces of random lengths, some with a pause between, and counts the answers, which must come in
order; then `h2load --h1 -m 32` does the same with its own pieces. Exits with 1 when an answer is
missing.
"""

import argparse
import contextlib
import http.client
import io
import random
import re
import select
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from drill_parts import Endpoint
from ports import free_port
from running_node import RunningNode, config
from tls_authority import Authority
from tls_client import trusting

LONGEST_S = 60.0
_CUTS = (1, 7, 60, 1_000, 20_000)
"""The longest piece of a stream, drawn for each; bytes."""


def main() -> int:
    """Plays both kinds; 1 where something was not answered."""
    options = _options()
    missing = 0
    backend = Endpoint()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as ending:
        ending.callback(backend.kill)
        place = Path(folder)
        authority = Authority(place)
        pair = authority.issue("a", "a.example")
        plain, tls = free_port(), free_port()
        text = f"""{config(plain, backend.address)}
[listeners.secure]
address = "127.0.0.1:{tls}"
protocol = "http"
default = true
tls = {{ mode = "terminate" }}

[hosts."a.example"]
certificate = "a"

{pair.toml("a")}"""
        with contextlib.redirect_stdout(sys.stderr), RunningNode(place, text) as node:
            node.until_ready()
            for kind, port in (("plain", plain), ("TLS", tls)):
                for turn in range(options.turns):
                    dice = random.Random(f"{options.seed} {kind} {turn}")  # noqa: S311
                    with _connected(port, authority.ca_file if kind == "TLS" else None) as stream:
                        answered = exchange(stream, options.requests, dice)
                    missing += options.requests - answered
                    _say(f"{kind}, turn {turn}: {answered} of {options.requests} answered")
                missing += _h2load(kind, port, options.requests)
    return 1 if missing else 0


def exchange(stream: socket.socket, requests: int, dice: random.Random) -> int:
    """Sends requests for bodies of different lengths in pieces; how many were answered in order."""
    lengths = [dice.randrange(100) for _ in range(requests)]
    heads = [
        b"GET /b/%d HTTP/1.1\r\nHost: a.example\r\n%s" % (length, b"X: y\r\n" * dice.randrange(3))
        for length in lengths
    ]
    sent = b"\r\n".join(heads) + b"Connection: close\r\n\r\n"
    answers = io.BytesIO(_received(stream, sent, dice))
    for answered, length in enumerate(lengths):
        status = answers.readline()
        if not status.startswith(b"HTTP/1.1 200"):
            return answered
        headers = http.client.parse_headers(answers)
        if headers["content-length"] != str(length) or len(answers.read(length)) < length:
            return answered
    return requests


def _received(stream: socket.socket, sent: bytes, dice: random.Random) -> bytes:
    """What came back until the other side closed, or said nothing for too long.

    One thread for both directions: a TLS connection bears no two.
    """
    longest = dice.choice(_CUTS)
    at, got = 0, bytearray()
    stream.setblocking(False)
    last = time.monotonic()
    while time.monotonic() - last < LONGEST_S:
        if at < len(sent):
            with contextlib.suppress(BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                at += stream.send(sent[at : at + dice.randint(1, longest)])
        with contextlib.suppress(BlockingIOError, ssl.SSLWantReadError):
            piece = stream.recv(65536)
            if not piece:
                break
            got += piece
            last = time.monotonic()
        if at == len(sent) or dice.random() < 0.001:
            select.select([stream], [], [], 0.01)
    return bytes(got)


def _connected(port: int, ca_file: Path | None) -> socket.socket:
    stream = socket.create_connection(("127.0.0.1", port), LONGEST_S)
    if ca_file is None:
        return stream
    return trusting(ca_file).wrap_socket(stream, server_hostname="a.example")


def _h2load(kind: str, port: int, requests: int) -> int:
    """How many of h2load's requests were not answered with 200."""
    program = shutil.which("h2load")
    if program is None:
        raise SystemExit("h2load is missing; run `make system-deps`")
    scheme = "https" if kind == "TLS" else "http"
    to = [f"--connect-to=127.0.0.1:{port}", f"{scheme}://a.example:{port}/"]
    said = subprocess.run(
        [program, "--h1", "-n", str(requests), "-c4", "-m32", *to],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    found = re.search(r"status codes: (\d+) 2xx", said)
    answered = int(found[1]) if found else 0
    _say(f"{kind}, h2load --h1 -m 32: {answered} of {requests} answered")
    return requests - answered


def _say(line: str) -> None:
    sys.__stdout__.write(f"{line}\n")  # type: ignore[union-attr]
    sys.__stdout__.flush()  # type: ignore[union-attr]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seed", default="1")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
