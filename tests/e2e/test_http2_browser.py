"""A browser: pages over HTTP/2, and a WebSocket on the same connection (RFC 8441)."""

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from urllib.parse import unquote

from access_log import AccessLog
from peers import peer
from ports import free_port
from running_node import RunningNode, config
from tls_authority import Authority
from told import until_metric
from waiting import DEADLINE_S, until
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

PAGE = """<!doctype html><title>page</title><script>
const tell = (what) => fetch("/told?" + encodeURIComponent(JSON.stringify(what)));
const socket = new WebSocket("wss://" + location.host + "/socket");
const got = [];
socket.onopen = () => { socket.send("hello"); socket.send("x".repeat(100000)); };
socket.onerror = () => tell({ failed: true });
socket.onmessage = (event) => {
  got.push(event.data.length, event.data.slice(0, 5));
  if (got.length < 4) return;
  const page = performance.getEntriesByType("navigation")[0];
  tell({ got, protocol: page.nextHopProtocol });
};
</script>"""
LOG = 'access_log = {{ format = "json", sink = {{ path = "{folder}/access.log" }} }}\n'


class Site:
    """An HTTP/1.1 server: the page, what the page tells, and the WebSocket."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self._server: Server = serve(self._shout, "127.0.0.1", 0, process_request=self._answer)
        self.port: int = self._server.socket.getsockname()[1]
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        """Stops it."""
        self._server.shutdown()
        self._thread.join()

    def _answer(self, _: ServerConnection, request: Request) -> Response | None:
        if request.path == "/socket":
            return None
        if request.path.startswith("/told?"):
            self.told.append(request.path)
        body = PAGE.encode() if request.path == "/" else b""
        fields = {"content-type": "text/html", "content-length": str(len(body))}
        return Response(HTTPStatus.OK, "OK", Headers({**fields, "connection": "close"}), body)

    def _shout(self, connection: ServerConnection) -> None:
        for message in connection:
            connection.send(message.upper())


@contextmanager
def browser(folder: Path, url: str) -> Iterator[None]:
    """Chromium without a window at a page, until the end."""
    flags = (
        *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
        *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
        *("--ignore-certificate-errors", "--remote-debugging-port=0"),
        f"--user-data-dir={folder / 'profile'}",
    )
    with (folder / "browser.log").open("wb") as log:
        process = subprocess.Popen([str(peer("chromium")), *flags, url], stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(DEADLINE_S)


def test_a_browser_has_its_page_and_its_websocket_on_one_http2_connection(folder: Path) -> None:
    site, secure = Site(), free_port()
    pair = Authority(folder).issue("a", "localhost")
    text = config(free_port(), f"127.0.0.1:{site.port}", extra=LOG.format(folder=folder))
    text += pair.toml("a") + (
        f'[listeners.secure]\naddress = "127.0.0.1:{secure}"\nprotocol = "http"\ndefault = true\n'
        'tls = { mode = "terminate", default_certificate = "a" }\n'
    )
    try:
        with RunningNode(folder, text).until_ready() as node:
            with browser(folder, f"https://localhost:{secure}/"):
                until(lambda: bool(site.told), "the page tells", deadline_s=2 * DEADLINE_S)
                until_metric(node, "headgate_tunnels", 1)
            wanted = {"got": [5, "HELLO", 100_000, "XXXXX"], "protocol": "h2"}
            assert json.loads(unquote(site.told[0].partition("?")[2])) == wanted
            (line,) = AccessLog(folder / "access.log").lines(1, target="/socket")
            assert line["protocol"] == "HTTP/2.0"
    finally:
        site.close()
