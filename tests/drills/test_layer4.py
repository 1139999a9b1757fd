"""The layer 4 drill, one turn of each kind."""

import subprocess
import sys
from pathlib import Path

from peers import peer

DRILL = Path(__file__).with_name("layer4.py")


def test_change_and_failure_lose_only_what_was_at_a_killed_endpoint() -> None:
    peer("pgbench")
    command = [sys.executable, str(DRILL), "--turns", "1"]
    drill = subprocess.run(command, capture_output=True, text=True, check=False)
    told = [line for line in drill.stdout.splitlines() if line.startswith("ok ")]
    assert [line.split(":")[0] for line in told] == ["ok reloads", "ok killed", "ok upgrade"], (
        drill.stdout + drill.stderr
    )
    assert drill.returncode == 0
