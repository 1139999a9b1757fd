"""Which names of TLS handshakes the real nginx takes, with which hosts, and what explain says."""

import tempfile
from pathlib import Path
from random import Random

import pytest
import random_names
from nginx_engine import NginxEngine
from ports import free_port

from headgate.compile.routing import Routing

CONFIGS = 8
REQUESTS = 60


@pytest.mark.parametrize("seed", range(CONFIGS))
def test_nginx_treats_names_as_explain_says(seed: int) -> None:
    random, port = Random(seed), free_port()  # noqa: S311 - to be had again
    with tempfile.TemporaryDirectory(prefix="hg-") as name:
        folder = Path(name)
        config = folder / "headgate.toml"
        config.write_text(random_names.config(random, folder, f"127.0.0.1:{port}"))
        with NginxEngine(config, folder) as nginx:
            assert nginx.loaded.plan is not None
            routing = Routing(nginx.loaded.plan, blobs=nginx.loaded.blobs)
            wrong = random_names.disagreements(routing, port, folder, random, REQUESTS, nginx=True)
    assert not wrong, "\n".join(wrong)
