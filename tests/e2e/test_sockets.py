"""What a listener's sockets are set to, on both engines, as the kernel tells it (`ss`)."""

import re
import socket
import subprocess
from pathlib import Path

import pytest
from peers import peer
from running_node import RunningNode, get
from waiting import DEADLINE_S

BACKLOG = 37
KEEPALIVE_S = 75


def told(*options: str) -> str:
    """The line of `ss` about sockets that these options choose."""
    command = [str(peer("ss")), "-tnoH", *options]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("engine", ["native", "nginx"])
def test_backlog_and_keepalive_are_as_written(folder: Path, port: int, engine: str) -> None:
    if engine == "nginx":
        peer("nginx")
    text = (
        f'[listeners.web]\naddress = "127.0.0.1:{port}"\ndefault = true\n'
        f'backlog = {BACKLOG}\ntcp_keepalive = "{KEEPALIVE_S}s"\n'
        "[routes.all]\nrespond = { status = 204 }\n"
    )
    with RunningNode(folder, text, "--engine", engine).until_ready():
        assert get(port) == (204, b"")
        for line in told("-l", f"sport = :{port}").splitlines():
            assert line.split()[1:3] == ["0", str(BACKLOG)], line
        with socket.create_connection(("127.0.0.1", port), DEADLINE_S) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert connection.recv(12) == b"HTTP/1.1 204"
            here = connection.getsockname()[1]
            line = told("state", "established", f"sport = :{port} and dport = :{here}")
        found = re.search(r"timer:\(keepalive,(?:(\d+)min)?(?:([\d.]+)sec)?", line)
        assert found is not None, line
        left_s = int(found[1] or 0) * 60 + float(found[2] or 0)
        assert KEEPALIVE_S - DEADLINE_S < left_s <= KEEPALIVE_S, line
