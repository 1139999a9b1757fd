"""Nobody reads the log: a full pipe at standard error makes nothing of a node or a master wait, and
a node may be started without one."""

import contextlib
import os
import signal
import subprocess
from pathlib import Path

import pytest
from master_process import MasterProcess, call
from ports import free_port
from running_node import RunningNode, get
from unread import unread_pipe
from waiting import DEADLINE_S, until

from headgate.cli import calls

CONFIG = """
[node]
admin = "off"
drain = {{ delay = "50ms", idle_grace = "100ms" }}

[listeners.web]
address = "127.0.0.1:{port}"
default = true

[routes.all]
respond = {{ status = 200, body = "{body}" }}
"""


class UnreadNode(RunningNode):
    """A node whose standard error and output nobody reads."""

    def _start(self, command: list[str], *arguments: str, **env: str) -> "subprocess.Popen[bytes]":
        self.log.write_text("")
        self._unread = contextlib.ExitStack()
        pipe = self._unread.enter_context(unread_pipe())
        return subprocess.Popen(
            [*self.program, *command, "--state-dir", str(self.state), *arguments],
            stdout=pipe,
            stderr=pipe,
            env=os.environ | env,
        )

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self._unread.close()


@pytest.mark.parametrize("engine", ["native", "nginx"])
def test_a_node_serves_reloads_and_heals(folder: Path, engine: str) -> None:
    port = free_port()
    text = CONFIG.format(port=port, body="one")
    with UnreadNode(folder, text, "--engine", engine, "--no-watch").until_ready() as node:
        assert get(port) == (200, b"one")
        node.write(CONFIG.format(port=port, body="two"))
        assert node.admin("POST", "/reload")[0] == 200
        until(lambda: get(port) == (200, b"two"), "the new config")

        control = _control(node)
        os.kill(control, signal.SIGKILL)
        until(lambda: _control(node) not in (0, control), "another control process")
        if engine == "native":
            generation, plane = node.data_plane()
            os.kill(plane, signal.SIGKILL)
            until(lambda: node.data_plane()[0] == generation + 1, "another data plane")
        until(lambda: node.admin_status("/ready") == 200, "readiness")
        assert get(port) == (200, b"two")
        node.process.terminate()
        assert node.process.wait(DEADLINE_S) == 0


class ClosedNode(RunningNode):
    """A node that somebody starts without standard streams."""

    def _start(self, command: list[str], *arguments: str, **env: str) -> "subprocess.Popen[bytes]":
        self.log.write_text("")
        closed = ["sh", "-c", 'exec "$@" 0<&- 1>&- 2>&-', "sh", *self.program]
        return subprocess.Popen(
            [*closed, *command, "--state-dir", str(self.state), *arguments], env=os.environ | env
        )


def test_a_node_without_standard_streams_writes_into_no_file_or_socket_of_its_own(
    folder: Path,
) -> None:
    port = free_port()
    with ClosedNode(folder, CONFIG.format(port=port, body="one")).until_ready() as node:
        assert get(port) == (200, b"one")
        for pid in (node.process.pid, _control(node), node.data_plane()[1]):
            # The data plane has put its standard input, a socket, to another number.
            streams = {Path(f"/proc/{pid}/fd/{number}").readlink() for number in range(3)}
            assert streams == {Path("/dev/null")}


def test_a_master_begins_serves_and_ends(folder: Path) -> None:
    with unread_pipe() as pipe:
        one = MasterProcess(folder, "--listen", "127.0.0.1:0", stderr=pipe)
        try:
            token = one.set_up()
            assert call(f"{one.base}/api/v1/auth/me", token=token)["name"] == "ann"
            assert one.stop() == 0
        finally:
            one.process.kill()
            one.process.wait()


def _control(node: RunningNode) -> int:
    """The control process that answers; 0 while none does."""
    if node.admin_status("/live") != 200:
        return 0
    try:
        about = node.status()["control"]
    except calls.NoNodeError:
        return 0  # it has just ended
    assert isinstance(about, dict)
    return int(about["pid"])
