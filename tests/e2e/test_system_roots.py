"""Upstreams that are verified by the system's CA certificates, while the system has none."""

import os
import signal
import socket
import ssl
from pathlib import Path

from ports import free_port
from running_node import RunningNode, get
from socket_server import SocketServer
from tls_authority import Authority, Pair
from waiting import until

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"

CONFIG = """
[listeners.web]
address = "127.0.0.1:{port}"
default = true

[upstreams.{name}]
endpoints = ["127.0.0.1:{endpoint}"]
tls = {{ verify_name = "end.example" }}
timeouts = {{ connect = "45s" }}

[routes.secured]
upstream = "{name}"

[routes.plain]
match = {{ path.prefix = "/plain" }}
respond = {{ status = 204 }}
"""


class Endpoint(SocketServer):
    """A server of HTTP over TLS."""

    def __init__(self, pair: Pair) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(pair.cert_file, pair.key_file)
        super().__init__()

    def serve(self, link: socket.socket) -> None:
        with self.context.wrap_socket(link, server_side=True) as secured:
            head = b""
            while b"\r\n\r\n" not in head:
                head += secured.recv(4096)
            secured.sendall(ANSWER)


def test_other_traffic_does_not_wait_for_the_systems_roots(folder: Path) -> None:
    authority, roots, none = Authority(folder), folder / "roots.pem", folder / "none"
    trusted = Path(authority.ca_file).read_bytes()
    roots.write_bytes(trusted)
    none.mkdir()
    port = free_port()
    with Endpoint(authority.issue("end", "end.example")) as end:
        text = CONFIG.format(port=port, name="app", endpoint=end.port)
        env = {"SSL_CERT_FILE": str(roots), "SSL_CERT_DIR": str(none)}
        with RunningNode(folder, text, **env).until_ready() as node:
            assert get(port) == (200, b"ok")
            roots.unlink()
            generation, pid = node.data_plane()
            os.kill(pid, signal.SIGKILL)
            until(lambda: node.data_plane()[0] > generation, "the next data plane")
            assert get(port, "/plain")[0] == 204
            assert get(port)[0] == 502
            node.write(CONFIG.format(port=port, name="next", endpoint=end.port))
            refused = node.command("reload")
            assert "the system has no usable CA certificates" in refused.stderr
            roots.write_bytes(trusted)
            until(lambda: get(port) == (200, b"ok"), "an answer over TLS")
