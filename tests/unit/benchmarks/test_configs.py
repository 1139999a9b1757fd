"""The configs that cases give to headgate and its peers; nothing runs here."""

import json
import subprocess
import sys
from pathlib import Path, PurePath

import pytest
from memory_files import MemoryFiles

from headgate.compile.load import load

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"
CODE = """
import json, sys
from pathlib import Path
from cases.registry import CASES
from cases.traffic import Traffic
from peers.base import Place, Setup
from peers.envoy import Envoy
from peers.haproxy import Haproxy
from peers.headgate import Headgate
from peers.nginx import Nginx
pair = [Path(name) for name in ("cert.pem", "key.pem", "both.pem")]
place = Place(Path("/run/bench"), 8000, 8001, 9000, *pair)
peers = [Nginx(), Haproxy(), Envoy(), Headgate(Path("headgate"))]
(case,) = (one for one in CASES if one.name == sys.argv[1])
for variant in case.variants:
    print(json.dumps({peer.name: peer.config_text(variant.setup, place) for peer in peers}))
"""


def _configs(case: str) -> list[dict[str, str]]:
    command = [sys.executable, "-c", CODE, case]
    done = subprocess.run(command, cwd=BENCHMARKS, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_multiplexed_upstream_is_asked_in_http2_by_all_who_can() -> None:
    (texts,) = _configs("mux-13")
    assert "proxy_http_version 1.1" in texts["nginx"] and "grpc_pass" not in texts["nginx"]
    assert "127.0.0.1:9000 proto h2 " in texts["haproxy"]
    assert '"http2_protocol_options": {}' in texts["envoy"]
    assert 'protocol = "h2c"\n' in texts["headgate"]


def test_calls_of_grpc_are_http2_on_both_sides() -> None:
    (texts,) = _configs("grpc-13")
    assert "grpc_pass grpc://up;" in texts["nginx"] and "listen 8000 http2 " in texts["nginx"]
    assert "backlog 16384 proto h2\n" in texts["haproxy"]
    assert "127.0.0.1:9000 proto h2 " in texts["haproxy"]
    assert '"http2_protocol_options": {}' in texts["envoy"]
    assert "h2c = true\n" in texts["headgate"] and 'protocol = "h2c"\n' in texts["headgate"]


@pytest.mark.parametrize("case", ["h1-13", "mux-13", "grpc-13", "guarded"])
def test_headgate_takes_its_config(case: str) -> None:
    for texts in _configs(case):
        found = load([PurePath("a.toml")], MemoryFiles({"a.toml": texts["headgate"]}), {})
        assert [str(one) for one in found.errors] == []
