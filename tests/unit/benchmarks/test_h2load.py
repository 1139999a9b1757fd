"""What h2load prints, and what the benchmark makes of it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import cast

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"
TEXT = """\
starting benchmark...
Main benchmark duration is over for thread #0. Stopping all clients.

finished in 2.01s, 24766.50 req/s, 1.02MB/s
requests: 49533 total, 49661 started, 49533 done, 49530 succeeded, 3 failed, 2 errored, 1 timeout
status codes: 49520 2xx, 0 3xx, 4 4xx, 6 5xx
"""
CODE = """
import dataclasses, json, sys
from h2load import figures
from loads import LoadError
try:
    seen = dataclasses.asdict(figures(sys.argv[1]))
except LoadError as error:
    seen = {"refused": str(error)}
print(json.dumps(seen))
"""


def _figures(text: str) -> dict[str, object]:
    command = [sys.executable, "-c", CODE, text]
    done = subprocess.run(command, cwd=BENCHMARKS, capture_output=True, text=True, check=True)
    return cast(dict[str, object], json.loads(done.stdout))


def test_answers_with_another_status_are_failures_and_no_requests() -> None:
    seen = _figures(TEXT)
    assert (seen["requests"], seen["seconds"], seen["p99"]) == (49520, 2.01, 0.0)
    assert seen["errors"] == {"failed": 3, "error": 2, "timeout": 1, "status": 10}


def test_a_short_run_is_counted_in_its_unit() -> None:
    assert _figures(TEXT.replace("2.01s", "250.00ms"))["seconds"] == 0.25


def test_text_without_figures_is_an_error() -> None:
    assert str(_figures("starting benchmark...\n")["refused"]).startswith("h2load says ")


def test_answers_without_messages_are_no_answers_to_calls() -> None:
    code = """
import sys
from h2load import check_messages
from loads import LoadError
try:
    check_messages(sys.argv[1], int(sys.argv[2]))
except LoadError:
    sys.exit(1)
"""
    line = "traffic: 7.24MB (7596656) total, 309.20KB (316624) headers, 2.72MB (1800) data\n"
    for calls, code_of_exit in (("100", 0), ("101", 1)):
        command = [sys.executable, "-c", code, line, calls]
        assert subprocess.run(command, cwd=BENCHMARKS, check=False).returncode == code_of_exit
