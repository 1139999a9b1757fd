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


def test_traffic_outlives_a_data_plane_while_nobody_reads_the_log(folder: Path) -> None:
    pipe, port = folder / "pipe", free_port()
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with RunningNode(folder, CONFIG.format(path=pipe, port=port)).until_ready() as node:
        assert get(port, "/read")[0] == 200
        os.close(reader)
        generation, pid = node.data_plane()
        os.kill(pid, signal.SIGKILL)
        until(lambda: node.data_plane()[0] > generation, "the next data plane")
        assert get(port, "/after-a-crash")[0] == 200
        upgraded = node.command("upgrade")
        assert upgraded.returncode == 0, upgraded.stderr
        assert get(port, "/after-an-upgrade")[0] == 200
        assert f"the access log fails: {pipe}" in node.until_told("access_log.failing")


def test_a_config_whose_log_cannot_be_opened_is_refused_until_it_can(folder: Path) -> None:
    good, late, port = folder / "access.log", folder / "late" / "access.log", free_port()
    with RunningNode(folder, CONFIG.format(path=good, port=port)).until_ready() as node:
        node.write(CONFIG.format(path=late, port=port))
        refused = node.command("reload")
        assert refused.returncode != 0
        assert f"cannot open {late}: {os.strerror(errno.ENOENT)}" in refused.stderr
        assert get(port, "/refused")[0] == 200
        late.parent.mkdir()
        until(late.exists, "another try")
        until_metric(node, FAILING, 0)


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
