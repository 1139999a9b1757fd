"""The drill of attacks on HTTP/2, with few attempts of each."""

import subprocess
import sys
from pathlib import Path

import pytest

DRILL = Path(__file__).with_name("http2_attacks.py")
_COUNT = 600


@pytest.mark.parametrize(
    "name",
    [
        *("rapid-reset", "made-data", "continuation", "ping", "settings", "hpack-bomb"),
        *("busy", "zero-window"),
    ],
)
def test_an_attack_is_bounded(name: str) -> None:
    count = ("--count", str(_COUNT), "--rounds", "1", "--seconds", "0", "--bar", "0")
    command = [sys.executable, str(DRILL), *count, "--only", name]
    drill = subprocess.run(command, capture_output=True, text=True, check=False)
    assert drill.returncode == 0, drill.stdout + drill.stderr
