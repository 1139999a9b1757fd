"""The kill drill of a fleet in its shortest form."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from peers import ROOT_ONLY, peer

DRILL = Path(__file__).with_name("fleet_kill.py")


@ROOT_ONLY
@pytest.mark.timeout(600)
def test_killed_masters_lose_no_write_no_step_and_no_request() -> None:
    """One kill in a rollout, along with a node's control process, and one in its undo, along with a
    node's cable."""
    peer("ip")
    short = ["--engines", "native,native", "--steps", "wave,undoing", "--pause", "0", "--soak", "1"]
    drill = subprocess.run(
        [sys.executable, str(DRILL), *short],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert drill.returncode == 0, drill.stdout + drill.stderr
    assert "2 breaks; " in drill.stdout
    assert " 0 failed; " in drill.stdout
    assert " 0 faults" in drill.stdout
