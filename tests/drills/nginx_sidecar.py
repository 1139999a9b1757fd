"""nginx in one container, the agent in another: what each set of rights can do, with namespaces.

    python tests/drills/nginx_sidecar.py      takes root and util-linux

Makes a pod (pid and network namespaces of its own), in it a container with nginx (own mount
namespace, own root, a binary that is nowhere else) and for each row a container with the agent, in
which there is no nginx. Writes docs/internals/nginx-sidecar.md; the exit code is 1 when a row was
not as it must be.
"""

import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from drill_parts import ROOT
from nginx_container import DOCKER_CAPS, WEB, ContainerNginx, as_user, bounded
from running_node import Load
from waiting import until

DOCUMENT = ROOT / "docs" / "internals" / "nginx-sidecar.md"
INTRODUCTION = """\
# nginx in another container

`python tests/drills/nginx_sidecar.py` tried on {date} what a node can do to an nginx in another
container of the same pod. It used real namespaces: shared pid and network namespaces, separate
mount namespaces. The node's container has no nginx; the node tests and probes the binary of the
other container, at a path that only exists there. The node signalled reloads while four
keep-alive clients sent requests.

| node | master | finds it | `nginx -t` with its binary | capabilities | reload (HUP) | result |
|---|---|---|---|---|---|---|
"""
_IFF_UP = 0x1
_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914

AGENT_CONTAINER = """
set -e
mount -t tmpfs none /etc/nginx
for binary in /usr/sbin/nginx /usr/bin/nginx /usr/local/sbin/nginx; do
    if [ -e $binary ]; then mount --bind /dev/null $binary; fi
done
exec "$@"
"""


@dataclass(frozen=True)
class Row:
    """Rights of the agent (options of setpriv), of the master, and what must come of them."""

    agent: str
    master: str
    privileges: tuple[str, ...]
    uid: int
    caps: str
    test: str
    hup: str


OK = "ok"
ROWS = (
    Row("root", "root", (), 0, "", "ok, copy", OK),
    Row(
        "root with Docker's default capabilities",
        "root with the same",
        (bounded(DOCKER_CAPS),),
        0,
        DOCKER_CAPS,
        "ok, rights",
        OK,
    ),
    Row("www-data with CAP_KILL", "root", as_user(WEB, "+kill"), 0, "", "CAP_SYS_PTRACE", OK),
    Row(
        "www-data with CAP_KILL, CAP_SYS_PTRACE, CAP_SYS_CHROOT",
        "root",
        as_user(WEB, "+kill,+sys_ptrace,+sys_chroot"),
        0,
        "",
        "ok, user",
        OK,
    ),
    Row("www-data, no rights", "root", as_user(WEB), 0, "", "CAP_SYS_PTRACE", "CAP_KILL"),
    Row("www-data, no rights", "www-data", as_user(WEB), WEB, "", "ok, user", OK),
)


def main() -> int:
    """Outside: makes the pod and runs this file in it. Inside: runs the rows."""
    if "--inside" in sys.argv:
        return inside()
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        sys.stdout.write("SKIP: takes root and util-linux\n")
        return 0
    pod = ["unshare", "--pid", "--net", "--mount", "--fork", "--kill-child", "--mount-proc"]
    here = [sys.executable, str(Path(__file__).resolve()), "--inside"]
    return subprocess.run([*pod, *here], check=False).returncode


def inside() -> int:
    """The rows, in the pod."""
    loopback_up()
    binary = shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if binary is None:
        sys.stdout.write("SKIP: nginx is missing: sudo make system-deps\n")
        return 0
    lines, failed, said = [], 0, list[str]()
    for row in ROWS:
        with tempfile.TemporaryDirectory(prefix="hg-", ignore_cleanup_errors=True) as folder:
            Path(folder).chmod(0o755)
            line, is_good, words = played(row, Path(folder), Path(binary))
        lines.append(line)
        said += [one for one in words if one not in said]
        failed += not is_good
        sys.stdout.write(line)
    today = time.strftime("%Y-%m-%d")
    text = INTRODUCTION.format(date=today) + "".join(lines)
    text += "\nThe messages about missing rights (pids replaced):\n\n"
    DOCUMENT.write_text(text + "".join(f"- {one}\n" for one in said))
    return 1 if failed else 0


def played(row: Row, folder: Path, binary: Path) -> tuple[str, bool, list[str]]:
    """A row: its line of the table, whether it was as it must be, what was refused."""
    container = ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c"]
    with ContainerNginx(folder, binary, uid=row.uid, caps=row.caps) as nginx:
        nginx.write("two")
        with Load(nginx.port) as load:
            seen = nginx.agent(*row.privileges, inside=[*container, AGENT_CONTAINER, "sh"])
            reloads = seen["HUP"] is None and waited(lambda: nginx.body() == "two")
        pid = str(nginx.process.pid)
    tested, hup = said_of_test(seen), OK if reloads else str(seen["HUP"])
    found = seen["master"] == seen["by_title"] == nginx.process.pid
    probe = seen["probe"]
    probed = f"{probe['accepted']} accepted" if isinstance(probe, dict) else "not told"
    is_good = found and row.test in tested and row.hup in hup and not real(load.failures)
    words = [one.replace(pid, "PID") for one in (tested, hup) if "right missing" in one]
    lost = f"{len(load.answers):,} answers, {len(load.failures)} closed by nginx's own reload"
    cells = [
        row.agent,
        row.master,
        "yes" if found else "no",
        "needs a right" if "right missing" in tested else tested,
        probed,
        f"done; {lost}" if reloads else "needs a right",
        "PASS" if is_good else f"FAIL {seen} {load.failures[:3]}",
    ]
    return "| " + " | ".join(cells) + " |\n", is_good, words


def said_of_test(seen: dict[str, object]) -> str:
    """`ok, copy`, or what stood against it."""
    test = seen["test"]
    if not isinstance(test, dict):
        return str(test)
    return f"{'ok' if test['ok'] else test['problems']}, {seen['isolation']}"


def real(failures: list[str]) -> list[str]:
    """Failures beyond a keep-alive connection that nginx closed as it reloaded."""
    return [one for one in failures if "RemoteDisconnected" not in one and "Reset" not in one]


def waited(condition: Callable[[], bool]) -> bool:
    """Whether it came true."""
    until(condition, "the reload")
    return True


def loopback_up() -> None:
    """The loopback interface of a new network namespace is down (netdevice(7))."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        name = b"lo".ljust(16, b"\0")
        asked = name + struct.pack("h", 0).ljust(24, b"\0")
        answer = fcntl.ioctl(any_socket, _SIOCGIFFLAGS, asked)
        flags = struct.unpack_from("h", answer, 16)[0] | _IFF_UP
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, name + struct.pack("h", flags).ljust(24, b"\0"))


if __name__ == "__main__":
    sys.exit(main())
