"""`tls.sni` of an upstream, on both engines: the name that a handshake asks an endpoint for."""

import socket
import ssl
from pathlib import Path

import pytest
from peers import peer
from running_node import RunningNode, get
from socket_server import SocketServer
from tls_authority import Authority, Pair

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


class Endpoint(SocketServer):
    """A server of HTTP over TLS that answers once, and notes the names that it is asked for."""

    def __init__(self, pair: Pair) -> None:
        self.asked: list[str | None] = []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(pair.cert_file, pair.key_file)
        self.context.sni_callback = lambda _, asked, __: self.asked.append(asked)
        super().__init__()

    def serve(self, link: socket.socket) -> None:
        with self.context.wrap_socket(link, server_side=True) as secured:
            head = b""
            while b"\r\n\r\n" not in head:
                head += secured.recv(4096)
            secured.sendall(ANSWER)


@pytest.mark.parametrize("engine", ["native", "nginx"])
def test_an_endpoint_is_asked_for_the_name_or_for_none(
    folder: Path, port: int, engine: str
) -> None:
    if engine == "nginx":
        peer("nginx")
    pair = Authority(folder).issue("end", "end.example")
    with Endpoint(pair) as named, Endpoint(pair) as unnamed:
        text = f'[listeners.web]\naddress = "127.0.0.1:{port}"\ndefault = true\n'
        for name, end, sni in (("named", named, "true"), ("unnamed", unnamed, "false")):
            tls = f'{{ verify = false, verify_name = "end.example", sni = {sni} }}'
            text += f'[upstreams.{name}]\nendpoints = ["127.0.0.1:{end.port}"]\ntls = {tls}\n'
            text += 'timeouts = { connect = "45s" }\n'
            match = f'match = {{ path.prefix = "/{name}" }}'
            text += f'[routes.{name}]\n{match}\nupstream = "{name}"\n'
        with RunningNode(folder, text, "--engine", engine).until_ready():
            assert get(port, "/named") == (200, b"ok")
            assert get(port, "/unnamed") == (200, b"ok")
        assert named.asked == ["end.example"]
        assert unnamed.asked == [None]
