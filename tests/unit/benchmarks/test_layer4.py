"""What the benchmark has for layer 4: the clients and the upstream in C, and headgate's config."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"
PROGRAMS = """
import json, socket, sys
from pathlib import Path
import machine, running, steady, workdir
workdir.WORK = running.WORK = steady.WORK = Path(sys.argv[1])
for name in ("backend", "load", "bulk", "datagrams"):
    workdir.compile_c(name)
running.command_prefix = steady.command_prefix = lambda *cpus: []
from cases.layer4 import _swallowed
from loads import figures

def until(client, key, count):
    while client.so_far()[key] < count:
        pass
    return client.so_far()

found = {}
with running.backend() as (port, _):
    where = f"127.0.0.1:{port}"
    with steady.steady("bulk", "up", "2", where) as client:
        while _swallowed(port) < 1 << 20:
            pass
        found["up"] = client.so_far()
    with steady.steady("bulk", "down", "2", where) as client:
        found["down"] = until(client, "bytes", 1 << 20)
    with steady.steady("datagrams", "300", "64", "64", where) as client:
        found["datagrams"] = until(client, "came", 1000)
    for name, more in (("kept", []), ("closed", ["-k"])):
        often = ["-r", "100", "-d", "3"]  # so long that a stall leaves time for some
        command = [workdir.WORK / "load", "-m", "echo", "-b", "64", *often, *more, where]
        import subprocess
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        seen = figures(text)
        found[name] = {"requests": seen.requests, "failed": seen.failed}
print(json.dumps(found))
"""
CONFIG = """
import sys
from pathlib import Path
from peers.base import Place, Setup
from peers.headgate import Headgate
from peers.nginx import Nginx
files = [Path("cert"), Path("key"), Path("both")]
place = Place(Path("/run/bench"), 8000, 8001, 9000, *files)
peer = {"headgate": Headgate(Path("headgate")), "nginx": Nginx()}[sys.argv[1]]
print(peer.config_text(Setup(relay=sys.argv[2]), place))
"""


def _run(code: str, *arguments: str) -> str:
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=BENCHMARKS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_clients_measure_the_upstream_when_no_proxy_is_between(tmp_path: Path) -> None:
    """Bulk is counted where it arrives, and each datagram comes back to the flow that sent it."""
    found = cast(dict[str, dict[str, float]], json.loads(_run(PROGRAMS, str(tmp_path))))
    assert found["up"] == {"bytes": 0.0}
    assert found["down"]["bytes"] >= 1 << 20
    assert found["datagrams"]["came"] >= 1000 and found["datagrams"]["wrong"] == 0
    for name in ("kept", "closed"):
        assert found[name]["requests"] > 0 and found[name]["failed"] == 0, found


@pytest.mark.parametrize("relay", ["tcp", "udp"])
def test_headgate_takes_the_config_of_layer_4(relay: str, tmp_path: Path) -> None:
    """The harness would find out only after a minute."""
    path = tmp_path / "headgate.toml"
    path.write_text(_run(CONFIG, "headgate", relay))
    headgate = str(Path(sys.executable).with_name("headgate"))
    done = subprocess.run([headgate, "check", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ("udp_routes" in path.read_text()) == (relay == "udp")


def test_nginx_has_room_for_ten_thousand_flows() -> None:
    """Each takes two of its connections; without room it ends others, and answers are lost."""
    found = re.search(r"worker_connections (\d+)", _run(CONFIG, "nginx", "udp"))
    assert found is not None and int(found[1]) > 2 * 10_000
