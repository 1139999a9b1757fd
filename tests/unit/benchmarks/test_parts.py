"""What the programs of parts print, and what the benchmark makes of it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import cast

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"
OURS = """\
server, 5 fields, 8 per read: 180 ns (median 191), 0.000 allocations
client, 5 fields, 8 per read: 170 ns (median 175), 0.000 allocations
server, 19 fields, 8 per read: 420 ns (median 433), 0.000 allocations
"""
THEIRS = """\
5 fields: 526 ns (median 530), 5.001 allocations
19 fields: 1191 ns (median 1200), 5.001 allocations
"""
BREAKER = "breaker, check: 0.92 ns\nbreaker, check and result: 1.57 ns\n"
CODE = """
import json, sys
from cases.parts import breaker_figures, codec_figures
from loads import LoadError
try:
    seen = {"codec": codec_figures, "breaker": breaker_figures}[sys.argv[1]](sys.argv[2])
except LoadError as error:
    seen = {"refused": str(error)}
print(json.dumps(seen))
"""


def _figures(part: str, text: str) -> dict[str, object]:
    command = [sys.executable, "-c", CODE, part, text]
    done = subprocess.run(command, cwd=BENCHMARKS, capture_output=True, text=True, check=True)
    return cast(dict[str, object], json.loads(done.stdout))


def test_the_servers_side_of_our_codec_counts_by_its_median_round() -> None:
    seen = _figures("codec", OURS)
    assert seen == {
        "5": {"ns": 191, "best_ns": 180, "allocations": 0},
        "19": {"ns": 433, "best_ns": 420, "allocations": 0},
    }


def test_nghttp2_says_it_in_the_same_form() -> None:
    assert _figures("codec", THEIRS)["19"] == {"ns": 1200, "best_ns": 1191, "allocations": 5.001}


def test_a_breakers_figures_are_nanoseconds_of_a_check_and_of_one_with_its_result() -> None:
    assert _figures("breaker", BREAKER) == {"check_ns": 0.92, "result_ns": 1.57}


def test_text_without_figures_is_an_error() -> None:
    assert str(_figures("codec", BREAKER)["refused"]).startswith("the codec's bench says ")
    assert str(_figures("breaker", OURS)["refused"]).startswith("the breaker's bench says ")
