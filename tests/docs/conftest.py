"""What the tests of the docs share: a scratch directory, and the runner as a process."""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import doc_run
import pytest
from peers import unavailable

RunPage = Callable[[Path], "subprocess.CompletedProcess[str]"]


@pytest.fixture
def scratch() -> Iterator[Path]:
    """An empty directory whose path is short enough for the sockets of a node."""
    with tempfile.TemporaryDirectory(prefix="hg-") as path:
        folder = Path(path) / "d"
        folder.mkdir()
        yield folder


@pytest.fixture
def run_page(scratch: Path) -> RunPage:
    """Runs a page in `scratch`; skipped, or failed in CI, where it gets no network of its own."""

    def run(page: Path) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, doc_run.__file__, str(page), str(scratch)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == doc_run.NO_NAMESPACE:
            unavailable(f"network namespaces are not allowed here: {done.stdout.strip()}")
        return done

    return run
