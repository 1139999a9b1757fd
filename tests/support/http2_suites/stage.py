"""The node that the cases meet: its listeners, and endpoints that record every byte."""

import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from frame_client import FrameClient
from ports import free_port
from recording_endpoint import Recorder, RecordingEndpoint
from recording_http2 import Answer, RecordingHttp2
from running_node import RunningNode
from tls_authority import Authority
from waiting import DEADLINE_S

from http2_suites import envoy_endpoints, nginx_grpc
from http2_suites.case import HTTP1, HTTP1_TLS, PLAIN, TLS

NAME = "a.example"
_CONFIG = """
[node]
admin = "off"
workers = 1
drain = {{ delay = "50ms", idle_grace = "50ms", deadline = "1s" }}

[listeners.plain]
address = "127.0.0.1:{plain}"
default = true
h2c = true

[listeners.http1]
address = "127.0.0.1:{http1}"
default = true

[listeners.tls]
address = "127.0.0.1:{tls}"
default = true
tls = {{ mode = "terminate" }}

[listeners.http1-tls]
address = "127.0.0.1:{http1_tls}"
default = true
tls = {{ mode = "terminate", policy = "http1" }}

[tls_policies.http1]
alpn = ["http/1.1"]

[hosts."{name}"]
certificate = "a"

[routes.all]
hosts = ["*"]
upstream = "app"

[upstreams.app]
endpoints = ["{app}"]

[routes.calls]
hosts = ["*"]
match = [{{ path = {{ prefix = "/call" }} }}]
upstream = "calls"

[upstreams.calls]
protocol = "h2c"
endpoints = ["{calls}"]
{pair}
"""
_LONG = b"".join(b"%b: %b\r\n" % (n, b"x" * 8192) for n in (b"x-first", b"x-second", b"x-third"))
_EMPTY = b"content-length: 0\r\n\r\n"
_ANSWERS = {
    b"/cookies": b"HTTP/1.1 200 OK\r\nset-cookie: a=b\r\nset-cookie: c=d\r\n" + _EMPTY,
    b"/long": b"HTTP/1.1 200 OK\r\n" + _LONG + b"content-length: 4\r\n\r\nbody",
    b"/long-204": b"HTTP/1.1 204 No Content\r\n" + _LONG + b"\r\n",
}
_REQUEST_ID = re.compile(rb"x-request-id: [0-9a-f]{32}\r\n")


def _calls() -> tuple[dict[bytes, Answer], dict[bytes, Answer]]:
    """What the endpoint over HTTP/2 answers, at the end of a request and at its beginning."""
    whole, early = nginx_grpc.ANSWERS | envoy_endpoints.ANSWERS, nginx_grpc.EARLY
    return (
        {f"/call/{name}".encode(): answer for name, answer in whole.items()},
        {f"/call/{name}".encode(): answer for name, answer in early.items()},
    )


class Stage:
    """A node with its endpoints."""

    def __init__(self, ports: dict[str, int], authority: Authority, recorder: Recorder) -> None:
        self._ports, self._recorder = ports, recorder
        self._secure = ssl.create_default_context(cafile=str(authority.ca_file))

    def connect(self, link: str) -> socket.socket:
        """A connection to a listener; over TLS with what it offers by ALPN, if that is `h2`."""
        plain = socket.create_connection(("127.0.0.1", self._ports[link]), DEADLINE_S)
        if link in (PLAIN, HTTP1):
            return plain
        if link == TLS:
            self._secure.set_alpn_protocols(["h2"])
        else:
            self._secure.set_alpn_protocols(["h2", "http/1.1"])
        secure = self._secure.wrap_socket(plain, server_hostname=NAME)
        assert secure.selected_alpn_protocol() == ("h2" if link == TLS else "http/1.1")
        return secure

    def frames(self, link: str, opening: bytes | None = None) -> FrameClient:
        """A connection that speaks HTTP/2."""
        return FrameClient(self.connect(link), opening)

    def reached(self) -> list[bytes]:
        """What endpoints have got since the last time, without the id that each request gets."""
        return [_REQUEST_ID.sub(b"", request) for request in self._recorder.take()]


@contextmanager
def staged(folder: Path) -> Iterator[Stage]:
    """The stage, until the block ends."""
    ports = {link: free_port() for link in (PLAIN, HTTP1, TLS, HTTP1_TLS)}
    authority = Authority(folder)
    recorder = Recorder()
    with ExitStack() as ends:
        app = ends.enter_context(RecordingEndpoint(recorder, _ANSWERS))
        calls = ends.enter_context(RecordingHttp2(recorder, *_calls()))
        text = _CONFIG.format(
            **{link.replace("-", "_"): port for link, port in ports.items()},
            name=NAME,
            app=app.address,
            calls=calls.address,
            pair=authority.issue("a", NAME).toml("a"),
        )
        ends.enter_context(RunningNode(folder, text, "--no-watch").until_ready())
        yield Stage(ports, authority, recorder)
