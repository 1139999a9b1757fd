"""The drill of a master that is killed in upgrades of its agents, in its shortest form."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from peers import ROOT_ONLY, peer

DRILL = Path(__file__).with_name("fleet_upgrade_kill.py")


@ROOT_ONLY
@pytest.mark.timeout(900)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_killed_masters_upgrade_each_agent_once_and_lose_no_request(database: str) -> None:
    """One kill while an agent installs the version, which it ends without a master, and one in
    the undo."""
    peer("ip")
    short = ["--engines", "native,native", "--steps", "last-installing,undo-installing"]
    short += ["--database", database]
    drill = subprocess.run(
        [sys.executable, str(DRILL), *short, "--pause", "0", "--soak", "1"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert drill.returncode == 0, drill.stdout + drill.stderr
    assert "2 breaks; " in drill.stdout
    assert " 0 failed; " in drill.stdout
    assert " 0 faults" in drill.stdout
