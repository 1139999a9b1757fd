"""A control process that starts while somebody else has the lock of applies."""

import os
import signal

import pytest
from running_node import RunningNode, Upstream, config, get
from told import answering
from waiting import until

from headgate.cli import calls
from headgate.engines.nginx.releases.lock import locked

pytestmark = pytest.mark.usefixtures("probed")


def control(node: RunningNode) -> int:
    """The pid of the control process; 0 while none answers."""
    try:
        found = node.status()["control"]
    except calls.NoNodeError:
        return 0
    assert isinstance(found, dict)
    return int(found["pid"])


def last_reload(node: RunningNode) -> str:
    """How its last run ended, with the error."""
    found = node.status()["config"]
    assert isinstance(found, dict)
    return str(found["last_reload"])


def test_it_takes_nginx_over_once_the_lock_is_free(
    node: RunningNode, port: int, one: Upstream, two: Upstream
) -> None:
    with locked(node.state / "nginx"):
        before = control(node)
        os.kill(before, signal.SIGKILL)
        until(lambda: control(node) not in (0, before), "another control process")
        until(lambda: "applies to" in last_reload(node), "a run that found the lock taken")
        assert get(port) == (200, b"one")
        assert node.admin_status("/ready") == 503
    until(lambda: node.admin_status("/ready") == 200, "readiness")
    nginx = answering(node)["nginx"]
    assert (nginx["running"], nginx["restarts"]) == (1, 0)
    node.write(config(port, two.address))
    until(lambda: get(port) == (200, b"two"), "the next config")
