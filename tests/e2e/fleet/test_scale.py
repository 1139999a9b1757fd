"""`make scale`, small: it runs on both databases and says what it measured."""

import json
import subprocess
import sys

import pytest
from stand_in_wheel import ROOT

AGENTS = 12


@pytest.mark.timeout(300)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_it_measures_publishing_heartbeats_and_a_storm(database: str) -> None:
    sizes = ["--agents", str(AGENTS), "--quiet", "1", "--manifest-kib", "2"]
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "scale.py", *sizes, "--database", database],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["agents"], report["database"]) == (AGENTS, database)
    for one in (report["complete"], *report["difference"]):
        for what in ("acknowledged_s", "serving_s"):
            times = one[what]
            assert 0 < times["p50"] <= times["p99"] <= times["last"] <= one["known_s"]
    assert 0 < report["restart_s"] < report["storm_healed_s"]
