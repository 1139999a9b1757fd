"""`make scale`, small: it runs on both databases and says what it measured."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from peers import peer
from stand_in_wheel import ROOT

AGENTS = 12
PAGE = ROOT / "docs" / "internals" / "fleet-scale.md"


def ran(*options: str | Path) -> dict[str, Any]:
    """What a run prints."""
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "scale.py", *options],
        capture_output=True,
        text=True,
        timeout=540,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_it_measures_publishing_heartbeats_and_a_storm(database: str) -> None:
    sizes = ["--agents", str(AGENTS), "--quiet", "1", "--manifest-kib", "2"]
    report = ran("--part", "agents", *sizes, "--database", database)
    assert (report["agents"], report["database"]) == (AGENTS, database)
    for one in (report["complete"], *report["difference"]):
        for what in ("acknowledged_s", "serving_s"):
            times = one[what]
            assert 0 < times["p50"] <= times["p99"] <= times["last"] <= one["known_s"]
    assert 0 < report["restart_s"] < report["storm_healed_s"]


@pytest.mark.timeout(600)  # an environment is made and pip runs in it
def test_it_measures_a_first_request_and_a_first_adopted_nginx(tmp_path: Path) -> None:
    peer("nginx")
    page = Path(shutil.copy(PAGE, tmp_path))
    report = ran("--part", "first", "--report", page)
    found = report["first"]
    assert found["request_s"] > 0
    assert 0 < found["installed_s"] < found["adopted_s"]
    text = page.read_text()
    assert f"| {report['machine']['memory_mib']:,} MiB |" in text
    assert f"| | bar | {report['machine']['at']} |" in text
