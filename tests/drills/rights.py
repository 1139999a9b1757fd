"""Shows what a node that root started may do, and what of its admin API another user gets.

    sudo .venv/bin/python tests/drills/rights.py [--user USER] [--engine nginx]

Prints lines of /proc/PID/status of each process, with those of nginx, then what `nobody` is
answered on the TCP address and on the Unix socket. The exit code is 1 when something answers that
should not.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from ports import free_port
from running_node import RunningNode, Upstream, config

_LINES = ("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
_MORE = ("NoNewPrivs", "Seccomp")
_PATHS = (
    ("GET", "/live"), ("GET", "/ready"), ("GET", "/health"), ("GET", "/metrics"),
    ("GET", "/status"), ("GET", "/config"), ("GET", "/events?follow=false"),
    ("POST", "/reload"), ("POST", "/explain"), ("POST", "/drain"),
)  # fmt: skip
_OPEN = 4
_ASK = """
import http.client, socket, sys
where, method, path = sys.argv[1:]
if where.startswith("/"):
    connection = http.client.HTTPConnection("headgate")
    connection.sock = socket.socket(socket.AF_UNIX)
    try:
        connection.sock.connect(where)
    except OSError as error:
        sys.exit(print(error.strerror))
else:
    connection = http.client.HTTPConnection(where)
connection.request(method, path)
print(connection.getresponse().status)
"""


def say(text: str) -> None:
    """A line of the drill's answer."""
    sys.stdout.write(f"{text}\n")


def main() -> int:
    """Runs the drill; the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--user")
    parser.add_argument("--engine", choices=("native", "nginx"), default="native")
    arguments = parser.parse_args()
    user = arguments.user
    if os.geteuid() != 0:
        sys.exit("this drill starts a node as root; run it with sudo")
    upstream, admin = Upstream("one"), f"127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory(prefix="hg-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        extra = f'user = "{user}"' if user else ""
        text = config(free_port(), upstream.address, extra=extra)
        text = text.replace('admin = "off"', f'admin = "{admin}"')
        with RunningNode(folder, text, "--engine", arguments.engine).until_ready() as node:
            _show_processes(node)
            wrong = _show_answers(admin, node.state / "admin.sock")
        say("\n# said by the node at its start")
        say("".join(line for line in node.log.open() if "warning:" in line) or "no warning")
    upstream.close()
    return wrong


def _show_processes(node: RunningNode) -> None:
    found = node.status()["processes"]
    assert isinstance(found, list)
    pids = [(one["process"], one["pid"]) for one in found]
    for master in [pid for name, pid in pids if name == "nginx"]:
        children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
        pids += [("nginx's worker", child) for child in children]
    for name, pid in pids:
        say(f"# {name}, pid {pid}")
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.partition(":")[0] in (*_LINES, *_MORE):
                say(line)
    say("\n# headgate status")
    say(node.command("status").stdout)


def _show_answers(admin: str, door: Path) -> int:
    wrong = 0
    say("# su nobody: request, TCP, Unix socket")
    for index, (method, path) in enumerate(_PATHS):
        tcp, unix = _as_nobody(admin, method, path), _as_nobody(str(door), method, path)
        say(f"{method:4} {path:22} {tcp:4} {unix}")
        wrong |= (tcp == "200") is not (index < _OPEN) or not unix.startswith("Permission denied")
    return int(wrong)


def _as_nobody(where: str, method: str, path: str) -> str:
    command = ["/usr/bin/python3", "-c", _ASK, where, method, path]
    done = subprocess.run(
        command, user="nobody", group="nogroup", extra_groups=[], capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    return done.stdout.strip() or done.stderr.strip()[-60:]


if __name__ == "__main__":
    sys.exit(main())
