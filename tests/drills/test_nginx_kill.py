"""The kill drill against a real nginx, once at each point."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from peers import peer

DRILL = Path(__file__).with_name("nginx_kill.py")


@pytest.mark.timeout(400)
def test_a_kill_at_any_step_leaves_the_old_or_the_new_release_and_loses_nothing() -> None:
    peer("nginx")
    drill = subprocess.run(
        [sys.executable, str(DRILL), "--times", "1", "--kinds", "good,rejected"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert drill.returncode == 0, drill.stdout + drill.stderr
    assert "0 lost" in drill.stdout
