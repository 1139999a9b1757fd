"""The benchmark's cases of features: that their configs are valid, and what the rows say."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import cast

import pytest

from headgate.library.compiled import compiled

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"
CONFIGS = """
import json, sys
from pathlib import Path
from typing import get_args
from peers.base import Feature, Place, Setup
from peers.headgate import Headgate
place = Place(Path("/x"), 8000, 8001, 9000, *[Path("/x")] * 3)
ours = Headgate(Path("x"))
texts = {name: ours.config_text(Setup(feature=name), place) for name in get_args(Feature)}
print(json.dumps(texts))
"""
REFUSALS = """
import json
from cases.registry import CASES
from pathlib import Path
from peers.envoy import Envoy
from peers.haproxy import Haproxy
from peers.headgate import Headgate
from peers.nginx import Nginx
peers = [Nginx(), Haproxy(), Envoy(), Headgate(Path("x"))]
print(json.dumps({one.name: [p.name for p in peers if not one.refuses(p)] for one in CASES}))
"""
ROWS = """
import json, sys
from feature_rows import ROWS
from results import Result
results = [Result(**one) for one in json.loads(sys.argv[1])]
found = {row.title: (row.measure(results), row) for row in ROWS}
print(json.dumps({title: [f.median, row.verdict(f)] for title, (f, row) in found.items() if f}))
"""


def _said(code: str, *arguments: str) -> dict[str, object]:
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=BENCHMARKS, capture_output=True, text=True, check=True)
    return cast(dict[str, object], json.loads(done.stdout))


def _result(case: str, number: int, peer: str, **variants: dict[str, float]) -> dict[str, object]:
    return {"case": case, "round": number, "peer": peer, "commit": "abc", "variants": variants}


def _rows(*results: dict[str, object]) -> dict[str, list[object]]:
    return cast(dict[str, list[object]], _said(ROWS, json.dumps(results)))


def test_the_config_of_each_feature_is_valid() -> None:
    """A case whose config is refused would only be seen on the machine that measures."""
    texts = _said(CONFIGS)
    assert len(texts) == 12
    for text in texts.values():
        config = tomllib.loads(str(text))
        del config["node"]["admin"]
        assert compiled(config).plan is not None


def test_who_is_measured_in_which_case() -> None:
    """Envoy has the chain, nginx encodes by gzip alone, and variants of ours stay among us."""
    who = _said(REFUSALS)
    assert who["chain"] == ["envoy", "headgate"]
    assert who["compress"] == ["nginx", "headgate"]
    for name in ("forward-auth", "traces", "bandwidth", "primitives", "library"):
        assert who[name] == ["headgate"], name
    assert who["h1-13"] == ["nginx", "haproxy", "envoy", "headgate"]


def test_the_chain_is_compared_with_the_bare_route_and_with_envoy() -> None:
    rows = _rows(
        _result("chain", 0, "headgate", bare={"us": 10.0}, chain={"us": 11.0}),
        _result("chain", 0, "envoy", bare={"us": 20.0}, chain={"us": 22.0}),
    )
    title = "token, limit, rewrite, header edits, breaker and checks, over none"
    assert rows[title] == [pytest.approx(1.1), "aim met"]
    assert rows["the same, to Envoy's"] == [0.5, "must met"]


def test_codings_are_compared_with_the_gzip_of_nginx_by_time_and_by_size() -> None:
    ours = {"us": 500.0, "coded_bytes": 1030.0}
    rows = _rows(
        _result("compress", 0, "headgate", gzip=ours, br=ours, zstd=ours),
        _result("compress", 0, "nginx", gzip={"us": 1000.0, "coded_bytes": 1000.0}),
    )
    start = "of 64 KiB of JSON, to nginx's gzip:"
    assert rows[f"gzip {start} CPU of the proxy"] == [0.5, "aim met"]
    assert rows[f"zstd {start} CPU of the proxy"] == [0.5, "must met"]
    assert rows[f"br {start} CPU of the proxy"] == [0.5, ""]
    assert rows[f"zstd {start} bytes"] == [1.03, "**missed**"]


def test_speeds_must_be_at_least_what_the_table_says() -> None:
    found = {"ours": 22.0, "governor": 12.0, "governor-told": 8.0}
    rows = _rows(_result("primitives", 0, "headgate", **{"limit-client": found}))
    assert rows["limit check among 100,000 clients"] == [22.0, "must met"]
    assert rows["the same, over governor"] == [pytest.approx(22 / 12), "**missed**"]
    assert rows["the same, over governor that is told the time"] == [2.75, ""]


def test_expressions_are_compared_with_the_faster_way_to_ask_them() -> None:
    found = {"ours": 6.0, "regex-set": 2.0, "regex-list": 0.5}
    rows = _rows(_result("primitives", 0, "headgate", **{"route-regex": found}))
    assert rows["regexes, over regex"] == [3.0, "must met"]
