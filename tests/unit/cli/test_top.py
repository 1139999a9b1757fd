"""`headgate top` against a node that answers at its socket: into a pipe and at a terminal."""

import os
import pty
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import UnixStreamServer

import msgspec
import pytest
from scripted_master import left

from headgate.cli import top
from headgate.engines.status import EngineStatus
from headgate.engines.types import EndpointStatus, UpstreamStatus
from headgate.node.about import ConfigStatus, NodeStatus


class Node:
    """A node on whose socket each look finds the next of its numbers of requests; the clock of
    who looks goes on as they sleep, and `asleep` says what else happens meanwhile."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "admin.sock"
        self.requests = [100, 500, 1700]
        self.now = 10.0
        self.looks = 0
        self.asleep: list[str] = []
        self.threads: set[str] = set()

    def page(self) -> bytes:
        count = self.requests[0]
        return f"""\
http_requests_total{{status="200"}} {count}
proxy_bytes_received_total {count * 3}
proxy_bytes_sent_total {count * 2048}
""".encode()

    def status(self) -> bytes:
        count = self.requests.pop(0) if len(self.requests) > 1 else self.requests[0]
        endpoint = EndpointStatus("127.0.0.1:9", [], "up", 3, 1, count, count // 100, "")
        upstreams = [UpstreamStatus("app", [endpoint])]
        engine = EngineStatus(kind="native", state="serving", upstreams=upstreams)
        config = ConfigStatus([], "abcdef0123456789", 3, 1.0, None)
        return msgspec.json.encode(NodeStatus(True, "ready", None, config, None, engine))

    def monotonic(self) -> float:
        self.looks += 1
        assert self.looks < 100, "it never sleeps"
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.threads |= {type(one).__name__ for one in threading.enumerate()}
        match self.asleep.pop(0) if self.asleep else "":
            case "it goes":
                self.socket.rename(self.socket.with_name("away"))
            case "it comes":
                self.socket.with_name("away").rename(self.socket)
            case "Ctrl-C":
                raise KeyboardInterrupt


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    one = Node(tmp_path)
    answers = {"/metrics": one.page, "/status": one.status}

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answers[self.path]())

        def log_message(self, *_: object) -> None:
            pass

    monkeypatch.setenv("HEADGATE_STATE_DIR", str(tmp_path))
    monkeypatch.setattr(top, "time", one)
    with UnixStreamServer(str(one.socket), Answers) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        yield one
        server.shutdown()
        serving.join()


def test_into_a_pipe_goes_what_happened_in_one_interval(
    node: Node, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    node.asleep = ["", "Ctrl-C"]
    assert left(monkeypatch, "top", "--interval", "4") == 0
    shown = capsys.readouterr().out.splitlines()
    assert max(map(len, shown)) < 100, "as wide as needed"
    lines = [" ".join(line.split()) for line in shown]
    assert lines[:3] == [
        "ready",
        "config abcdef012345 requests/s 100 p50 - p99 -",
        "connections 0 in 300 B/s out 200 KiB/s",
    ]
    assert "┃ upstream ┃ endpoint ┃ state ┃ req/s ┃ fail/s ┃ active ┃ idle ┃" in lines
    assert "│ app │ 127.0.0.1:9 │ up │ 100 │ 1 │ 3 │ 1 │" in lines
    assert node.requests == [1700], "it looked twice"


def _screen(monkeypatch: pytest.MonkeyPatch) -> str:
    """Runs `headgate top` at a terminal, and returns all that the terminal showed."""
    mine, its = pty.openpty()
    shown: list[bytes] = []

    def read() -> None:
        try:
            while some := os.read(mine, 65_536):
                shown.append(some)
        except OSError:
            pass  # what a terminal says that nobody has any more

    reader = threading.Thread(target=read)
    reader.start()
    with os.fdopen(its, "w") as stdout:
        monkeypatch.setattr("sys.stdout", stdout)
        assert left(monkeypatch, "top", "--interval", "2") == 0
    reader.join()
    os.close(mine)
    return b"".join(shown).decode()


def test_a_terminal_is_drawn_anew_after_each_interval_also_while_the_node_is_away(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    node.asleep = ["", "it goes", "it comes", "Ctrl-C"]
    shown = _screen(monkeypatch)
    assert "_RefreshThread" not in node.threads, "it draws nothing while it sleeps"
    assert shown.startswith("\x1b[?1049h"), "a screen of its own, which leaves the shell's alone"
    text = re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", shown)
    told = re.findall(r"requests/s \d+|no node runs", text)
    assert told == ["requests/s 0", "requests/s 200", "no node runs", "requests/s 300"]
