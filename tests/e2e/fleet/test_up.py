"""`headgate up`: from nothing to a request through a fleet, and a second start."""

from pathlib import Path

import pytest
from running_node import get
from up_fleet import Up


@pytest.mark.timeout(400)
def test_a_fleet_comes_up_from_nothing_and_again(folder: Path) -> None:
    up = Up(folder)
    with up.started() as said:
        assert "/setup#hgs_" in said.read_text()
        assert get(up.proxy)[1].startswith(b"upstream ")
        assert "serving=1" in up.ask("agents")
    with up.started() as said:
        assert "/setup#" not in said.read_text()
        assert get(up.proxy)[1].startswith(b"upstream ")
        assert "connected" in up.ask("agents")
