"""TCP Fast Open on listeners of both engines, where the kernel of a namespace allows it; root."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from namespaces import inside
from peers import ROOT_ONLY, peer
from running_node import HEADGATE, RunningNode
from waiting import DEADLINE_S

pytestmark = ROOT_ONLY

CONFIG = """
[node]
engine = "{engine}"
admin = "off"
drain = {{ delay = "10ms", idle_grace = "10ms", deadline = "10s" }}
[listeners.web]
address = "127.0.0.1:8000"
default = true
{fast_open}
[routes.all]
respond = {{ status = 200, body = "here" }}
"""
ALLOWED = "/proc/sys/net/ipv4/tcp_fastopen"
#: Two requests, each with its data in the SYN once there is a cookie; prints the answers' first
#: lines, and how many connections the kernel accepted with data in the SYN.
ASK = """
import json, socket
head = b"GET / HTTP/1.1\\r\\nhost: a\\r\\nconnection: close\\r\\n\\r\\n"
lines = []
for _ in range(2):
    with socket.socket() as one:
        one.sendto(head, socket.MSG_FASTOPEN, ("127.0.0.1", 8000))
        got = b""
        while part := one.recv(4096):
            got += part
        lines.append(got.partition(b"\\r\\n")[0].decode())
with open("/proc/net/netstat") as file:
    names, numbers = (line.split() for line in file if line.startswith("TcpExt"))
print(json.dumps([lines, int(dict(zip(names, numbers))["TCPFastOpenPassive"])]))
"""


@pytest.fixture
def space() -> Iterator[str]:
    """A namespace of the test's own, whose loopback is up."""
    name = f"hg{os.getpid()}f"
    command = str(peer("ip"))
    subprocess.run([command, "netns", "add", name], check=True)
    try:
        subprocess.run([command, "-n", name, "link", "set", "lo", "up"], check=True)
        yield name
    finally:
        subprocess.run([command, "netns", "delete", name], check=True)


def node(space: str, folder: Path, engine: str, fast_open: str) -> RunningNode:
    """A node in a namespace; the loopback of the test has no part in it."""

    class Inside(RunningNode):
        program = (*inside(space), str(HEADGATE))

    return Inside(folder, CONFIG.format(engine=engine, fast_open=fast_open))


def allow(space: str, bits: int) -> None:
    """Sets what the kernel allows in a namespace."""
    command = [*inside(space), "sh", "-c", f"echo {bits} > {ALLOWED}"]
    subprocess.run(command, check=True)


def asked(space: str) -> tuple[list[str], int]:
    """The first lines of two answers, and the connections so far that began with data."""
    command = [*inside(space), sys.executable, "-c", ASK]
    done = subprocess.run(command, check=True, capture_output=True, timeout=DEADLINE_S)
    lines, count = json.loads(done.stdout)
    return lines, count


@pytest.mark.parametrize("engine", ["native", "nginx"])
def test_data_of_a_first_packet_is_taken_where_asked(space: str, folder: Path, engine: str) -> None:
    if engine == "nginx":
        peer("nginx")
    allow(space, 3)
    (folder / "off").mkdir()
    with node(space, folder / "off", engine, "").until_ready():
        assert asked(space) == (["HTTP/1.1 200 OK"] * 2, 0)
    with node(space, folder, engine, "fast_open = 16").until_ready() as one:
        lines, count = asked(space)
        assert lines == ["HTTP/1.1 200 OK"] * 2
        assert count >= 1
        assert "fast_open" not in one.log.read_text()


def test_a_reload_turns_it_on_and_off(space: str, folder: Path) -> None:
    allow(space, 3)
    with node(space, folder, "native", "").until_ready() as one:
        for fast_open, grows in (("fast_open = 16", True), ('fast_open = "off"', False)):
            one.write(CONFIG.format(engine="native", fast_open=fast_open))
            assert one.command("reload").returncode == 0
            before = asked(space)[1]
            assert (asked(space)[1] > before) is grows


def test_a_node_warns_where_the_kernel_does_not_allow_it(space: str, folder: Path) -> None:
    allow(space, 1)
    with node(space, folder, "native", "fast_open = 16").until_ready() as one:
        assert asked(space) == (["HTTP/1.1 200 OK"] * 2, 0)
        told = one.until_told("TCP Fast Open")
        assert "headgate.toml:9" in told
        assert "listeners.web.fast_open" in told
