"""What explain says of connections and what our own data plane does with them: the same."""

import ssl
from contextlib import suppress
from pathlib import Path, PurePath
from random import Random

import pytest
from cut_off import heard
from running_node import RunningNode
from tcp_echo import Echo

from headgate.compile.answers import answer
from headgate.compile.load import load
from headgate.compile.routing import Question, Routing
from headgate.providers.file.disk import DiskFiles

LETTERS = "abcdefgh"
CONNECTIONS = 60
SNI = ("a.example", "*.example", "*.a.example", "*", "b.test")
ALPN = ("h2", "x", "y")
CLIENTS = ("127.0.0.0/8", "127.0.0.2", "127.0.0.0/30")
ASKED = ("a.example", "b.example", "c.a.example", "b.test", "other", None)


def config(random: Random, port: int, echoes: list[Echo]) -> str:
    """Random routes, each to a server that says its letter; what two would take is left to one."""
    text = (
        '[node]\nadmin = "off"\ndrain = { delay = "1ms", idle_grace = "1ms", deadline = "1s" }\n'
        f'[listeners.raw]\naddress = "127.0.0.1:{port}"\nprotocol = "tcp"\n'
    )
    conditions = {(s, a, c) for s in (*SNI, "") for a in (*ALPN, "") for c in (*CLIENTS, "")}
    chosen = random.sample(sorted(conditions), len(LETTERS))
    for letter, echo, (sni, alpn, client) in zip(LETTERS, echoes, chosen, strict=True):
        text += f'[tcp_routes.{letter}]\nlisteners = "raw"\nupstream = "{letter}"\n'
        for key, value in (("sni", sni), ("alpn", alpn), ("client", client)):
            text += f'{key} = "{value}"\n' if value else ""
        text += f'[upstreams.{letter}]\nendpoints = ["127.0.0.1:{echo.port}"]\n'
    return text


def hello(name: str | None, alpn: list[str]) -> bytes:
    """What OpenSSL sends first."""
    context = ssl.create_default_context()
    context.check_hostname = name is not None
    if alpn:
        context.set_alpn_protocols(alpn)
    out = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name).do_handshake()
    return out.read()


def taken(port: int, source: str, data: bytes) -> str:
    """The letter of the server that gets this; empty if the connection is reset."""
    return heard(port, data, source=source, most=1)[:1].decode()


@pytest.mark.parametrize("seed", range(3))
def test_the_data_plane_does_what_explain_says(folder: Path, port: int, seed: int) -> None:
    random = Random(seed)  # noqa: S311 - to be had again
    echoes = [Echo(letter.encode()) for letter in LETTERS]
    try:
        with RunningNode(folder, config(random, port, echoes)).until_ready() as node:
            loaded = load([PurePath(node.config)], DiskFiles(), {})
            assert loaded.plan is not None, loaded.diagnostics
            routing = Routing(loaded.plan)
            for _ in range(CONNECTIONS):
                name, source = random.choice(ASKED), f"127.0.0.{random.randint(1, 5)}"
                alpn = random.sample(ALPN, random.randint(0, 2))
                url = f"tcp://127.0.0.1:{port}"
                asked = Question(url=url, client=source, sni=name, alpn=alpn)
                found = answer(routing, asked, lambda *_: "")
                says = found.won.route if found.won else ""
                assert taken(port, source, hello(name, alpn)) == says, asked
    finally:
        for one in echoes:
            one.close()
