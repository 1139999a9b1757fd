"""Row 35 of the fault matrix, which takes seconds."""

import subprocess
import sys
from pathlib import Path

DRILL = Path(__file__).with_name("faults.py")


def test_flows_to_a_closed_port_leave_nothing() -> None:
    command = [sys.executable, str(DRILL), "--row", "35", "--no-write"]
    drill = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "row 35 PASS" in drill.stdout, drill.stdout + drill.stderr
    assert drill.returncode == 0, drill.stdout + drill.stderr
