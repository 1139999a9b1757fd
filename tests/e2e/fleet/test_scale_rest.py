"""`make scale-rest`, small: it runs on both databases and says what it measured."""

import json
import subprocess
import sys

import pytest
from stand_in_wheel import ROOT


@pytest.mark.timeout(300)
def test_it_measures_lists_and_the_fan_out_of_events() -> None:
    sizes = ["--objects", "150", "--lists", "3", "--clients", "3", "--changes", "2"]
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "scale_rest.py", *sizes],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    for kind in ("sqlite", "postgresql"):
        found = report[kind]
        assert (found["objects"], found["list"]["lists"]) == (150, 3)
        assert found["fan_out"]["events"] == 6
        for case in (found["list"], found["fan_out"]):
            assert 0 < case["p50_ms"] <= case["p99_ms"] <= case["longest_ms"]
