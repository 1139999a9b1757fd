"""`rate_limit` with `delay_above` on both engines: what is above it waits until it is due."""

import time
from pathlib import Path

import pytest
from limited import counted, statuses
from peers import peer
from running_node import RunningNode, Upstream, config
from waiting import until

LIMITED = """
[middlewares.few.rate_limit]
rate = "5/m"
burst = 2
delay_above = 1
"""
DUE_S = 12.0
"""Long: a second request that comes only after it would wait for nothing."""
ROUNDED_S = {"native": DUE_S / 256, "nginx": 0.01}
"""How much sooner it may be answered: the engine counts in 256ths of a request, nginx in whole
milliseconds."""


@pytest.mark.parametrize("engine", ["native", "nginx"])
def test_a_request_above_it_is_answered_when_it_is_due(
    folder: Path, port: int, one: Upstream, engine: str
) -> None:
    if engine == "nginx":
        peer("nginx")
    used = 'upstream = "app"\nmiddlewares = ["few"]'
    text = config(port, one.address).replace('upstream = "app"', used) + LIMITED
    with RunningNode(folder, text, "--engine", engine).until_ready() as node:
        began = time.monotonic()
        assert statuses(port, 2) == {200: 2}
        assert time.monotonic() - began >= DUE_S - ROUNDED_S[engine]
        if engine == "native":
            until(lambda: counted(node, "rate_limit", "delayed") == 1, "the metrics count it")
