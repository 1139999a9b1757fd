"""Checks that send bytes of the config: a real name server, a real Redis, closed ports."""

import json
import socket
import ssl
import threading
from contextlib import closing, suppress
from pathlib import Path
from typing import Self

from datagram_servers import Echo, closed_port, name_server
from ports import free_port
from redis_server import RedisServer
from running_node import RunningNode
from tls_authority import Authority
from told import until_metric
from waiting import until

SOON = 'interval = "2s", timeout = "2s", fast_interval = "100ms", max_interval = "2s"'
"""For checks that are to time out, or to find what changes."""
LATE = 'interval = "20s", timeout = "20s", fast_interval = "100ms", max_interval = "20s"'
"""For checks whose first result is the last word: it is no timeout of a server that was held up."""
QUESTION = "1234 0100 0001 0000 0000 0000 03777777 0474657374 00 0001 0001"
"""The question for the address of www.test."""
ANSWER = "1234 8580 0001 0001"
"""The same id, an answer with authority, no error, one record."""


def _config(upstreams: dict[str, tuple[str, str]]) -> str:
    """A config with upstreams by name, each with an endpoint and the words of its check."""
    text = """
[node]
admin = "off"
[listeners.raw]
address = "127.0.0.1:0"
protocol = "udp"
[udp_routes.raw]
listeners = "raw"
upstream = "first"
""".replace(":0", f":{free_port()}").replace("first", next(iter(upstreams)))
    for name, (endpoints, check) in upstreams.items():
        text += f"""
[upstreams.{name}]
endpoints = [{endpoints}]
{check}
"""
    return text


def _told(node: RunningNode) -> dict[str, tuple[str, str, str]]:
    """State, reason and clause of the first endpoint of each upstream."""
    health = json.loads(node.admin("GET", "/health")[1])
    first = {one["name"]: one["endpoints"][0] for one in health["upstreams"]}
    return {name: (one["state"], one["reason"], one["why"]) for name, one in first.items()}


def _becomes(node: RunningNode, name: str, state: str, reason: str, found: str = "") -> None:
    def is_so() -> bool:
        told = _told(node).get(name, ("", "", ""))
        return told[:2] == (state, reason) and found in told[2]

    until(is_so, f"{name} is {state} for {reason}, as {found!r} says")


def _udp(send: str, expect: str, times: str = LATE) -> str:
    return f'health_check = {{ protocol = "udp", send = {send}, expect = {expect}, {times} }}'


def _tcp(rest: str, times: str = LATE) -> str:
    return f'health_check = {{ protocol = "tcp", {rest}, {times} }}'


class Moody:
    """A server of datagrams that answers with what a test wants, or not at all."""

    def __init__(self, port: int) -> None:
        self.answer = b""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", port))
        self._serving = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._serving.start()
        return self

    def __exit__(self, *_: object) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.sendto(b"end", self._socket.getsockname())
        self._serving.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            with suppress(ConnectionError):
                data, peer = self._socket.recvfrom(64)
                if data == b"end":
                    return
                if self.answer:
                    self._socket.sendto(self.answer, peer)


def test_a_name_server_is_asked_a_question_of_its_own(folder: Path) -> None:
    question = f'{{ hex = "{QUESTION}" }}'
    with name_server(folder) as port, closed_port() as closed:
        right, wrong = f'{{ prefix = {{ hex = "{ANSWER}" }} }}', '{ contains = "mail" }'
        upstreams = {
            "right": (f'"127.0.0.1:{port}"', _udp(question, right)),
            "wrong": (f'"127.0.0.1:{port}"', _udp(question, wrong)),
            "closed": (f'"127.0.0.1:{closed}"', _udp(question, right)),
        }
        with RunningNode(folder, _config(upstreams)).until_ready() as node:
            _becomes(node, "right", "up", "check-passed")
            _becomes(node, "wrong", "down", "check-answer", "the answer is ")
            _becomes(node, "closed", "down", "check-unreachable", "its port is unreachable")
            about = f"endpoint 127.0.0.1:{closed} of upstream closed is down: ICMP told its checks"
            node.until_logged(about)
            up = f'headgate_backend_up{{backend="right/127.0.0.1:{port}"}}'
            down = f'headgate_backend_up{{backend="closed/127.0.0.1:{closed}"}}'
            until_metric(node, up, 1)
            until_metric(node, down, 0)


def test_a_server_of_datagrams_falls_silent_goes_and_comes_back(folder: Path) -> None:
    with closing(Echo()) as echo:
        check = _udp('"?"', '{ exact = "?" }', SOON)
        upstreams = {"game": (f'"127.0.0.1:{echo.port}"', check)}
        with RunningNode(folder, _config(upstreams)).until_ready() as node:
            _becomes(node, "game", "up", "check-passed")
            port = echo.port
            echo.close()
            _becomes(node, "game", "down", "check-unreachable")
            with Moody(port) as moody:
                # The reason stays that for which it went down; the last check says what it found.
                until(lambda: "no answer in 2000 ms" in _told(node)["game"][2], "a check times out")
                moody.answer = b"!"
                until(lambda: 'the answer is "!"' in _told(node)["game"][2], "an answer is wrong")
                moody.answer = b"?"
                _becomes(node, "game", "up", "check-passed")


def test_a_redis_that_answers_passes_and_one_that_wants_a_password_does_not(folder: Path) -> None:
    (folder / "words").write_text("AUTH s3cret\nPING\n")
    pong = 'expect = { exact = "+PONG\\r\\n" }'
    with RedisServer(folder) as store:
        at = f'"127.0.0.1:{store.port}"'
        upstreams = {
            "asked": (at, _tcp(f'send = "PING\\r\\n", {pong}')),
            "any": (at, _tcp('send = "PING\\r\\n"')),
            "told": (at, _tcp(f'send = "NONE\\r\\n", {pong}')),
            "hidden": (at, _tcp(f'send = {{ file = "words" }}, {pong}')),
            "silent": (at, _tcp('expect = { regex = "220 .*" }', SOON)),
        }
        with RunningNode(folder, _config(upstreams)).until_ready() as node:
            _becomes(node, "asked", "up", "check-passed")
            _becomes(node, "any", "up", "check-passed")
            _becomes(node, "told", "down", "check-answer", "-ERR unknown command")
            _becomes(node, "hidden", "down", "check-answer", "bytes is another one")
            _becomes(node, "silent", "down", "check-timeout", "no answer in 2000 ms")
            assert b"s3cret" not in node.admin("GET", "/health")[1]


def test_a_server_that_speaks_first_is_listened_to_inside_tls(folder: Path) -> None:
    authority = Authority(folder)
    pair = authority.issue("mail", "127.0.0.1")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.cert_file, pair.key_file)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def greet() -> None:
            while True:
                try:
                    got, _ = listening.accept()
                    with got, context.wrap_socket(got, server_side=True) as inside:
                        inside.sendall(b"220 mail")
                        inside.sendall(b".test ready\r\n")
                        inside.recv(1)
                except (ssl.SSLError, ConnectionError):
                    continue
                except OSError:
                    return

        threading.Thread(target=greet, daemon=True).start()
        at = f'"127.0.0.1:{listening.getsockname()[1]}"'
        tls = f'tls = {{ ca_file = "{authority.ca_file}" }}\n'
        upstreams = {
            "mail": (at, tls + _tcp('expect = { regex = "220 [a-z.]+ ready\\\\r\\\\n" }')),
            "other": (at, tls + _tcp('expect = { prefix = "* OK" }')),
        }
        text = _config(upstreams).replace("udp", "tcp")
        with RunningNode(folder, text).until_ready() as node:
            _becomes(node, "mail", "up", "check-passed")
            _becomes(node, "other", "down", "check-answer", 'the answer is "220 mail')
