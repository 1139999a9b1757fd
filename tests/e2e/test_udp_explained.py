"""What explain says of datagrams and what our own data plane does with them: the same."""

from pathlib import Path

import pytest
from random_clients import agree, random_routes
from running_node import RunningNode


@pytest.mark.parametrize("seed", range(3))
def test_the_data_plane_does_what_explain_says(folder: Path, port: int, seed: int) -> None:
    with random_routes(seed, port) as text, RunningNode(folder, text).until_ready() as node:
        agree(node.config, port, seed)
