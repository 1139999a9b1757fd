"""The storm with clients of HTTP/2, with and without TLS, to endpoints of HTTP/1.1 and of HTTP/2.

    python tests/drills/storm_http2.py --seconds 60 --workers 1,2

Half of the connections of `http2_load.py` go to a listener with TLS, and every second request to
an upstream whose endpoints are of nghttpd. Answers have 13 or 65,536 octets, uploads 20,000.
Allowed is what `storm.py` allows. What a GOAWAY or REFUSED_STREAM of the node says was not
processed is counted by itself: every client may send it again.
"""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import storm
from drill_parts import Endpoint
from http2_load import BIG, CONNECTIONS, HOST, SMALL, STREAMS
from peers import peer
from ports import free_port
from tls_authority import Authority

_LOAD = Path(__file__).with_name("http2_load.py")
_ENDPOINTS = 3
_CONFIG = """
[node]
admin = "off"
drain = {{ delay = "50ms", idle_grace = "500ms", deadline = "10s" }}

[listeners.web]
address = "127.0.0.1:{port}"
protocol = "http"
default = true
h2c = true

[listeners.secure]
address = "127.0.0.1:{secure}"
default = true
tls = {{ mode = "terminate" }}

[hosts."{host}"]
certificate = "a"
{pair}
[routes.one]
hosts = ["*"]
match = [{{ path = {{ prefix = "/one" }} }}]
upstream = "one"
middlewares = [{{ response_headers = {{ set = {{ x-turn = "{turn}" }} }} }}]

[routes.two]
hosts = ["*"]
match = [{{ path = {{ prefix = "/two" }} }}]
upstream = "two"
middlewares = [{{ response_headers = {{ set = {{ x-turn = "{turn}" }} }} }}]

[upstreams.one]
endpoints = [{one}]

[upstreams.two]
endpoints = [{two}]
protocol = "h2c"
"""


class Server(Endpoint):
    """nghttpd, which serves a folder and echoes what is sent to it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        super().__init__()

    def command(self) -> list[str]:
        """What it runs."""
        where = ("-a", "127.0.0.1", "-d", str(self._folder))
        return [str(peer("nghttpd")), *where, "--no-tls", "--echo-upload", str(self.port)]


class Http2Storm(storm.Storm):
    """One run."""

    connections = f"{CONNECTIONS} x {STREAMS} streams"
    in_flight = CONNECTIONS * STREAMS

    def __init__(self, folder: Path, seconds: float, workers: int) -> None:
        self._secure = free_port()
        authority = Authority(folder)
        self._ca_file = authority.ca_file
        self._pair = authority.issue("a", HOST).toml("a")
        self._files = folder / "www"
        _write(self._files)
        self._kinds = 0
        super().__init__(folder, seconds, workers)
        # So that endpoints of both kinds are killed in turns.
        self.endpoints += [self.endpoint() for _ in range(2 * _ENDPOINTS - len(self.endpoints))]

    def endpoint(self) -> Endpoint:
        """One of HTTP/1.1 and one of HTTP/2 in turns."""
        self._kinds += 1
        return Endpoint() if self._kinds % 2 else Server(self._files)

    def client(self) -> list[str]:
        """Its command."""
        ports = (str(self.port), str(self._secure), str(self._ca_file))
        return [sys.executable, str(_LOAD), f"{self.seconds:g}", *ports]

    def config(self, turn: int) -> str:
        """The config; each turn differs from the one before."""
        one, two = (
            ", ".join(f'"{each.address}"' for each in self.endpoints[kind::2]) for kind in (0, 1)
        )
        ports = {"port": self.port, "secure": self._secure}
        names = {"host": HOST, "pair": self._pair, "one": one, "two": two}
        return _CONFIG.format(turn=turn, **ports, **names)

    def more(self, whole: dict[str, Any]) -> dict[str, str]:
        """How many came which way, and what may be sent again."""
        ways = sorted(whole["by_way"].items())
        again = ", ".join(f"{n} by {what}" for what, n in sorted(whole["again"].items()))
        return {
            "of these, by client and endpoint": ", ".join(f"{n:,} {way}" for way, n in ways),
            "not processed, as the node said": again or "none",
        }


def _write(folder: Path) -> None:
    """What nghttpd serves: the answers of the other endpoints."""
    (folder / "two" / "b").mkdir(parents=True)
    (folder / "two" / "a").write_bytes(b"x" * SMALL)
    (folder / "two" / "b" / str(BIG)).write_bytes(b"x" * BIG)


if __name__ == "__main__":
    sys.exit(storm.main(Http2Storm, __doc__))
