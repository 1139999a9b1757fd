"""The malformed-message drill against a node of its own."""

import subprocess
import sys
import tempfile
from pathlib import Path

from ports import free_port
from running_node import RunningNode, config

DRILL = Path(__file__).with_name("malformed.py")


def test_every_malformed_message_gets_what_the_corpus_says() -> None:
    port, upstream = free_port(), free_port()
    text = config(port, f"127.0.0.1:{upstream}")
    command = [sys.executable, str(DRILL), "--target", f"127.0.0.1:{port}", "--upstream-port"]
    with (
        tempfile.TemporaryDirectory(prefix="hg-") as folder,
        RunningNode(Path(folder), text).until_ready(),
    ):
        drill = subprocess.run(
            [*command, str(upstream)], capture_output=True, text=True, check=False
        )
    assert drill.returncode == 0, drill.stdout + drill.stderr
