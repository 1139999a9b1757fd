"""An access log that cannot be written: people are told why, and when it works again."""

import errno
import os
import signal
from pathlib import Path

from access_log import AccessLog
from ports import free_port
from running_node import RunningNode, get
from told import until_metric, until_status_says
from waiting import until

CONFIG = """
[node]
access_log = {{ sink = {{ path = "{path}" }} }}

[listeners.web]
address = "127.0.0.1:{port}"
default = true

[routes.all]
respond = {{ status = 200 }}
"""

FAILING = "headgate_access_log_failing"


def test_people_are_told_why_the_access_log_fails_and_when_it_works_again(folder: Path) -> None:
    path, port = folder / "access.log", free_port()
    path.symlink_to("/dev/full")
    with RunningNode(folder, CONFIG.format(path=path, port=port)).until_ready() as node:
        until_metric(node, FAILING, 0)
        assert get(port, "/lost")[0] == 200
        why = f"{path}: {os.strerror(errno.ENOSPC)}"
        until_status_says(node, f"access log fails: {why}")
        assert f"the access log fails: {why}" in node.until_told("access_log.failing")
        until_metric(node, FAILING, 1)
        path.unlink()
        node.process.send_signal(signal.SIGUSR1)
        until(path.exists, "a new file")
        assert get(port, "/kept")[0] == 200
        (line,) = AccessLog(path).lines(1)
        assert line["target"] == "/kept"
        node.until_told("access_log.working")
        until_metric(node, FAILING, 0)
        assert "access log fails" not in node.command("status").stdout
