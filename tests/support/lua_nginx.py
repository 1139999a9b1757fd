"""The real nginx with the Lua balancer, for tests that take it."""

import os

import pytest
from nginx_engine import capabilities

from headgate.engines.nginx.render.lua import CAPABILITY


def takes_lua() -> None:
    """Skips the test by name, or fails in CI, where nginx has no Lua balancer."""
    if capabilities().has(CAPABILITY):
        return
    reason = "nginx has no Lua balancer: sudo make system-deps"
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
