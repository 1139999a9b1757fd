"""Answers in a coding that takes fewer bytes: over both protocols, from endpoints of both."""

import gzip
import http.client
import subprocess
import threading
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from http_server import serving_http
from nginx_engine import NginxEngine
from peers import peer
from running_node import RunningNode, config
from told import until_metric_at_least
from waiting import DEADLINE_S

TEXT = b"".join(b'{"id": %d, "name": "item %d"}\n' % (n, n * 7) for n in range(3000))
SMALL = """
[middlewares.small.compress]
algorithms = ["{algorithm}"]

[hosts."shop.example"]
middlewares = ["small"]

[routes.shop]
hosts = ["shop.example"]
upstream = "app"
"""


class _Pages(BaseHTTPRequestHandler):
    """`/length`, `/chunks`, `/close`: the text framed so; `/events`: the second one when it may."""

    protocol_version = "HTTP/1.1"
    may_go_on = threading.Event()

    def do_GET(self) -> None:
        """Answers."""
        kind = self.path[1:]
        self.send_response(206 if kind == "part" else 200)
        self.send_header("content-type", "image/png" if kind == "image" else "application/json")
        self.send_header("etag", '"v1"')
        self.send_header("accept-ranges", "bytes")
        if kind == "coded":
            self.send_header("content-encoding", "identity")
        if kind == "kept":
            self.send_header("cache-control", "max-age=1, no-transform")
        if kind == "close":
            self.close_connection = True
            self.send_header("connection", "close")
        elif kind in ("chunks", "events"):
            self.send_header("transfer-encoding", "chunked")
        else:
            self.send_header("content-length", str(len(TEXT)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if kind == "chunks":
            for at in range(0, len(TEXT), 5000):
                self._chunk(TEXT[at : at + 5000])
        elif kind == "events":
            self._chunk(b"data: one\n\n")
            self.may_go_on.wait()
            self._chunk(b"data: two\n\n")
        else:
            self.wfile.write(TEXT)
        if kind in ("chunks", "events"):
            self._chunk(b"")

    def do_HEAD(self) -> None:
        """Answers with the head alone."""
        self.do_GET()

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def pages() -> Iterator[str]:
    """The address of an endpoint with texts."""
    _Pages.may_go_on = threading.Event()
    with serving_http(_Pages) as port:
        yield f"127.0.0.1:{port}"
        _Pages.may_go_on.set()


def written(port: int, upstream: str, algorithm: str = "gzip") -> str:
    """The usual config, with compressed answers of one host."""
    text = config(port, upstream).replace("[listeners.web]\n", "[listeners.web]\nh2c = true\n")
    return text + SMALL.format(algorithm=algorithm)


def ask(port: int, version: str, path: str, *arguments: str) -> tuple[dict[str, str], bytes]:
    """The header lines of an answer, in lower case, and its body as it came."""
    about = ("--silent", "--show-error", "--include", "--raw", "--header", "host: shop.example")
    accept = ("--header", "accept-encoding: gzip, br, zstd")
    command = ("curl", version, *about, *accept, *arguments, f"http://127.0.0.1:{port}{path}")
    done = subprocess.run(command, capture_output=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == 0, done.stderr
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    pairs = [line.partition(":") for line in head.decode().lower().split("\r\n")[1:]]
    fields = {name: value.strip() for name, _, value in pairs}
    return fields, unchunked(body) if fields.get("transfer-encoding") == "chunked" else body


def unchunked(body: bytes) -> bytes:
    """A body without its framing; fails if its end is missing."""
    whole = b""
    while True:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16)
        if length == 0:
            assert rest == b"\r\n"
            return whole
        whole += rest[:length]
        body = rest[length + 2 :]


VERSIONS = ["--http1.1", "--http2-prior-knowledge"]


@pytest.mark.parametrize("version", VERSIONS)
def test_texts_come_smaller_and_whole(folder: Path, port: int, pages: str, version: str) -> None:
    with RunningNode(folder, written(port, pages)).until_ready():
        for path in ("/length", "/chunks", "/close"):
            fields, body = ask(port, version, path)
            assert fields["content-encoding"] == "gzip", path
            assert fields["etag"] == 'w/"v1"', path
            assert fields["vary"] == "accept-encoding", path
            assert not {"content-length", "accept-ranges"} & fields.keys(), path
            assert len(body) * 4 < len(TEXT), path
            assert gzip.decompress(body) == TEXT, path


@pytest.mark.parametrize("version", VERSIONS)
def test_what_must_stay_stays(folder: Path, port: int, pages: str, version: str) -> None:
    with RunningNode(folder, written(port, pages)).until_ready():
        for path in ("/image", "/part", "/coded", "/kept"):
            fields, body = ask(port, version, path)
            assert fields.get("content-encoding") in (None, "identity"), path
            assert (fields["etag"], fields["content-length"]) == ('"v1"', str(len(TEXT))), path
            assert "vary" not in fields, path
            assert body == TEXT, path
        fields, body = ask(port, version, "/length", "--header", "accept-encoding: gzip;q=0")
        assert (fields["vary"], body) == ("accept-encoding", TEXT)
        assert "content-encoding" not in fields
        fields, body = ask(port, version, "/length", "--head")
        assert (fields["content-encoding"], body) == ("gzip", b"")
        assert "content-length" not in fields


@pytest.mark.parametrize("algorithm", ["br", "zstd"])
def test_other_codings_are_told_and_shrink(
    folder: Path, port: int, pages: str, algorithm: str
) -> None:
    with RunningNode(folder, written(port, pages, algorithm)).until_ready():
        fields, body = ask(port, "--http1.1", "/length")
        assert fields["content-encoding"] == algorithm
        assert len(body) * 4 < len(TEXT)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_endpoint_of_http2_is_no_different(
    folder: Path, port: int, pages: str, version: str
) -> None:
    # The node is its own endpoint, over HTTP/2.
    inner = f"""
[routes.inner]
hosts = ["inner.example"]
upstream = "app"

[upstreams.self]
endpoints = ["127.0.0.1:{port}"]
protocol = "h2c"
host_header = "inner.example"
"""
    before, shop, after = written(port, pages).partition("[routes.shop]")
    text = before + shop + after.replace('"app"', '"self"') + inner
    with RunningNode(folder, text).until_ready() as node:
        for path in ("/length", "/chunks"):
            fields, body = ask(port, version, path)
            assert fields["content-encoding"] == "gzip", path
            assert gzip.decompress(body) == TEXT, path
        until_metric_at_least(node, "headgate_http2_connections_opened_total", 1)


def test_events_arrive_when_they_are_sent(folder: Path, port: int, pages: str) -> None:
    with RunningNode(folder, written(port, pages)).until_ready():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
        sent = {"host": "shop.example", "accept-encoding": "gzip"}
        connection.request("GET", "/events", headers=sent)
        answer = connection.getresponse()
        reader = zlib.decompressobj(wbits=31)
        seen = b""
        while b"one\n\n" not in seen:
            seen += reader.decompress(answer.read1())
        assert seen == b"data: one\n\n"
        _Pages.may_go_on.set()
        seen += reader.decompress(answer.read())
        assert (seen, reader.eof) == (b"data: one\n\ndata: two\n\n", True)
        connection.close()


def test_nginx_sends_texts_smaller_too(folder: Path, port: int, pages: str) -> None:
    peer("nginx")
    path = folder / "headgate.toml"
    path.write_text(config(port, pages) + SMALL.format(algorithm="gzip"))
    with NginxEngine(path, folder):
        fields, body = ask(port, "--http1.1", "/length")
        assert (fields["content-encoding"], fields["etag"]) == ("gzip", 'w/"v1"')
        assert gzip.decompress(body) == TEXT
        fields, body = ask(port, "--http1.1", "/image")
        assert ("content-encoding" in fields, body) == (False, TEXT)
