"""What the core's middlewares make of a request and what the real nginx makes of it: the same.

An upstream tells what it was sent; answers are compared as the client gets them.
"""

import tempfile
from pathlib import Path
from random import Random

import pytest
import random_chains
from echo_upstream import EchoUpstream
from nginx_engine import NginxEngine
from ports import free_ports
from wire import Wire

from headgate.compile.routing import Routing

CONFIGS = 10
REQUESTS = 120


@pytest.mark.parametrize("seed", range(CONFIGS))
def test_nginx_makes_of_a_request_what_the_core_does(seed: int) -> None:
    random = Random(seed)  # noqa: S311 - to be had again
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="hg-") as folder, EchoUpstream() as upstream:
        file = Path(folder) / "headgate.toml"
        file.write_text(random_chains.config(random, f"127.0.0.1:{port}", upstream.address))
        with NginxEngine(file, Path(folder)) as nginx, Wire(port) as wire:
            assert nginx.loaded.plan is not None
            routing = Routing(nginx.loaded.plan)
            wrong = random_chains.disagreements(routing, wire, port, random, REQUESTS)
            assert not wrong, file.read_text() + "\n".join(wrong)
