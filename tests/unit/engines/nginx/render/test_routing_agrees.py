"""What the core says of a request and what the real nginx does with it: the same, for thousands.

Every route answers with its name, so an answer tells which one nginx chose. All requests of a
config go over one connection, as far as it lives.
"""

import tempfile
from pathlib import Path
from random import Random

import pytest
import random_routes
from agreement import disagreements
from nginx_engine import NginxEngine
from ports import free_ports
from wire import Wire

from headgate.compile.routing import Routing

CONFIGS = 12
ROUTES = 14
REQUESTS = 300


@pytest.mark.parametrize("seed", range(CONFIGS))
def test_nginx_takes_the_route_that_explain_names(seed: int) -> None:
    random = Random(seed)  # noqa: S311 - to be had again
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="hg-") as folder:
        config = Path(folder) / "headgate.toml"
        config.write_text(random_routes.config(random, f"127.0.0.1:{port}", ROUTES))
        with NginxEngine(config, Path(folder)) as nginx, Wire(port) as wire:
            assert nginx.loaded.plan is not None
            routing = Routing(nginx.loaded.plan)
            wrong = disagreements(config, routing, wire, random, REQUESTS, nginx=True)
            assert not wrong, "\n".join(wrong)
