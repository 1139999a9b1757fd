"""What explain says of datagrams and what a node that drives an nginx does with them: the same."""

from pathlib import Path

import pytest
from nginx_engine import capabilities, stream_capabilities
from peers import unavailable
from random_clients import agree, random_routes
from running_node import RunningNode


@pytest.mark.usefixtures("probed")
@pytest.mark.parametrize("seed", range(2))
def test_nginx_does_what_explain_says(folder: Path, port: int, seed: int) -> None:
    stream_capabilities()
    if not capabilities().has("stream_udp"):
        unavailable("nginx has no UDP in its stream")
    with (
        random_routes(seed, port) as text,
        RunningNode(folder, text, "--engine", "nginx").until_ready() as node,
    ):
        agree(node.config, port, seed)
