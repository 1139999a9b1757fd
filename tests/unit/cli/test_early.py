"""The control process that `headgate run` leaves to its supervisor, in processes of their own."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[3] / "src"
MODULE = """
import json, os, sys
def main():
    fd = int(os.environ["HEADGATE_ADMIN_FD"])
    told = {
        "options": sys.argv[-1], "path": sys.path[0], "admin": os.fstat(fd).st_ino,
        "leads": os.getpgid(0) == os.getpid(), "pid": os.getpid(), "parent": os.getppid(),
    }
    print(json.dumps(told), flush=True)
    if sys.argv[-1] == "fails":
        raise ValueError("it failed")
    return 7
"""
PROGRAM = """
import json, os, sys
from headgate.cli import early
from headgate.supervisor.early import Early
print("begun")
pid, fd = early.fork([sys.executable, "-P", "-m", "waiting", sys.argv[1]])
assert os.get_inheritable(fd)
if sys.argv[2] == "closed":
    os.close(fd)
elif sys.argv[2] == "started":
    assert Early(pid, fd).start(int(sys.argv[3])) == pid
else:
    os.kill(pid, 9)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert Early(pid, fd).start(int(sys.argv[3])) is None
    print(os.path.exists(f"/proc/{pid}"))
    sys.exit()
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), pid, os.getpid())
"""


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    (tmp_path / "modules/waiting").mkdir(parents=True)
    (tmp_path / "modules/waiting/__init__.py").touch()
    (tmp_path / "modules/waiting/__main__.py").write_text(MODULE)
    (tmp_path / "program.py").write_text(PROGRAM)
    return tmp_path


def ran(modules: Path, *arguments: str, fd: int = 0) -> subprocess.CompletedProcess[str]:
    """The program, with a listening socket at `fd`."""
    return subprocess.run(
        [sys.executable, str(modules / "program.py"), *arguments, str(fd)],
        # What the program has said is in a buffer when it forks.
        env={
            **os.environ,
            "PYTHONPATH": f"{modules / 'modules'}:{SOURCE}",
            "PYTHONUNBUFFERED": "",
        },
        pass_fds=[fd] if fd else [],
        capture_output=True,
        text=True,
        check=True,
    )


@pytest.mark.parametrize(("options", "code"), [("{}", 7), ("fails", 1)])
def test_it_goes_on_as_the_module_with_the_socket_that_it_is_sent(
    modules: Path, options: str, code: int
) -> None:
    with socket.socket() as admin:
        done = ran(modules, options, "started", fd=admin.fileno())
        begun, first, last = done.stdout.splitlines()
        assert begun == "begun"
        told = json.loads(first)
        ended, pid, parent = map(int, last.split())
        assert told == {
            "options": options,
            "path": str(modules / "modules"),  # without the folder of the program
            "admin": os.fstat(admin.fileno()).st_ino,
            "leads": True,
            "pid": pid,
            "parent": parent,
        }
    assert ended == code
    assert ("ValueError: it failed" in done.stderr) == (code == 1)


def test_it_ends_without_a_word_when_no_supervisor_comes(modules: Path) -> None:
    done = ran(modules, "{}", "closed")
    assert (done.stdout.split()[:2], done.stderr) == (["begun", "0"], "")


def test_one_that_has_ended_is_collected(modules: Path) -> None:
    with socket.socket() as admin:
        done = ran(modules, "{}", "ended", fd=admin.fileno())
    assert (done.stdout.split(), done.stderr) == (["begun", "False"], "")
