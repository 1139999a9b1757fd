"""Runs commands of a foreign binary, confined: one short-lived process, JSON in, JSON out.

Started as `python -I -S confined.py` with the request on standard input (`sandbox.py` writes it),
within bubblewrap where there is one; standard library alone. It enters the instance's root if that
is not ours. Each command then gives up every right that `nginx -t` does not need, may write in a
few folders only, and has no system call that reaches other processes.
"""

# System calls in a process that lives for milliseconds: no pathlib.
# ruff: noqa: PTH102, PTH123
import contextlib
import json
import os
import resource
import select
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Final, TypedDict

sys.path.insert(0, str(Path(__file__).resolve().parent))

import confined_fence as fence  # type: ignore[import-not-found,unused-ignore]

_PLACES: Final = ("/tmp", "/var/tmp", "/dev/shm", "/run")  # noqa: S108
_ENVIRONMENT: Final = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}


class Request(TypedDict):
    """`root_pid`: whose root to enter; 0 = ours.
    `{folder}` in arguments becomes the scratch folder.

    `writes`: the other folders that it may write in. `network`: it may reach peers.
    """

    root_pid: int
    proc: str
    files: dict[str, str]
    commands: list[list[str]]
    writes: list[str]
    network: bool
    timeout_s: float
    output_bytes: int


class Result(TypedDict):
    """`code` is negative for a signal.

    `said` is standard error as text; `printed` standard output, each byte as one character. Both
    are cut at the request's limit.
    """

    code: int
    said: str
    printed: str
    timed_out: bool


class Refused(Exception):  # noqa: N818 - reads as what it says
    """A step before the commands failed."""

    def __init__(self, step: str, error: OSError) -> None:
        super().__init__(f"{step}: {error.strerror}")
        self.step = step
        self.number = error.errno or 0


def main() -> None:
    """Reads the request, answers with the results or the failed step."""
    fence.die_with_parent()
    fence.adopt_orphans()
    request: Request = json.load(sys.stdin)
    own = os.open(request["proc"], os.O_PATH | os.O_DIRECTORY)
    try:
        if request["root_pid"]:
            _enter(f"{request['proc']}/{request['root_pid']}/root")
    except Refused as refused:
        answer(json.dumps({"refused": refused.step, "errno": refused.number, "why": str(refused)}))
        return
    run_all(request, own)


def _enter(path: str) -> None:
    try:
        root = os.open(path, os.O_PATH | os.O_DIRECTORY)
    except OSError as error:
        raise Refused("root", error) from error
    os.fchdir(root)
    try:
        os.chroot(".")
    except PermissionError as error:
        if os.geteuid() == 0:
            raise Refused("chroot", error) from error
        _chrooted_as_user()


def _chrooted_as_user() -> None:
    """Changes the root without CAP_SYS_CHROOT, in a user namespace if the kernel allows one."""
    uid, gid = os.geteuid(), os.getegid()
    maps = os.open("/proc/self", os.O_PATH | os.O_DIRECTORY)
    try:
        fence.unshare(fence.CLONE_NEWUSER | fence.CLONE_NEWNS)
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{uid} {uid} 1"),
            ("gid_map", f"{gid} {gid} 1"),
        ):
            with open(os.open(name, os.O_WRONLY, dir_fd=maps), "w") as file:
                file.write(text)
        os.chroot(".")
    except OSError as error:
        raise Refused("chroot", error) from error


def run_all(request: Request, proc: int) -> None:
    """Writes the files, runs the commands, answers with how they were confined."""
    folder = _folder(request["files"])
    landlock = fence.landlock_version()
    calls = fence.filter_for(network=request["network"])
    open_to = []
    try:
        if not fence.give_up_rights(is_root=os.geteuid() == 0):
            open_to.append("without CAP_SETPCAP the command keeps its rights")
        results = []
        for command in request["commands"]:
            words = [part.replace("{folder}", folder) for part in command]
            results.append(run(words, request, [folder, *request["writes"]], landlock, calls))
            _end_orphans(proc)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if calls is None:
        open_to.append(f"its system calls are not filtered on {os.uname().machine}")
    text = {"landlock": landlock, "open": open_to, "results": results}
    answer(json.dumps(text))


def _folder(files: dict[str, str]) -> str:
    for place in _PLACES:
        folder = f"{place}/headgate-{os.urandom(8).hex()}"
        try:
            os.mkdir(folder, 0o700)
        except OSError:
            continue
        for name, text in files.items():
            Path(f"{folder}/{name}").write_text(text.replace("{folder}", folder))
        return folder
    raise FileNotFoundError(f"none of {' '.join(_PLACES)} may be written")


def run(
    command: list[str], request: Request, writes: list[str], landlock: int, calls: bytes | None
) -> Result:
    """Runs one command; returns how it ended and what it wrote."""
    printed, said = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        try:
            _become(command, (printed[1], said[1]), writes, landlock, calls)
        finally:
            os._exit(127)
    os.close(printed[1])
    os.close(said[1])
    deadline = time.monotonic() + request["timeout_s"]
    kept, timed_out = _read((printed[0], said[0]), deadline, request["output_bytes"])
    if timed_out:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return {
        "code": os.waitstatus_to_exitcode(status),
        "said": kept[said[0]].decode(errors="replace"),
        "printed": kept[printed[0]].decode("latin-1"),
        "timed_out": timed_out,
    }


def _become(
    command: list[str],
    outputs: tuple[int, int],
    writes: list[str],
    landlock: int,
    calls: bytes | None,
) -> None:
    """Gives up its rights and becomes the command; reports a failed step and runs nothing then."""
    fence.die_with_parent()
    os.setsid()
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    os.dup2(outputs[0], 1)
    os.dup2(outputs[1], 2)
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        fence.no_new_rights()
        if landlock:
            fence.write_only_in(writes, landlock)
        if calls is not None:
            fence.filtered_calls(calls)
        os.execve(command[0], command, _ENVIRONMENT)  # noqa: S606
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())


def _end_orphans(proc: int) -> None:
    """Ends what a command left running: it may hold the ports of the next release."""
    path = f"self/task/{os.getpid()}/children"
    while True:
        try:
            with open(os.open(path, os.O_RDONLY, dir_fd=proc)) as file:
                left = [int(pid) for pid in file.read().split()]
        except OSError:
            return
        if not left:
            return
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def _read(readers: tuple[int, ...], deadline: float, most: int) -> tuple[dict[int, bytes], bool]:
    """Returns what each pipe gave until its end, cut after `most` bytes,
    and whether time ran out.

    It reads on after the cut, so that a full pipe does not block the command.
    """
    kept = {reader: bytearray() for reader in readers}
    waiting = set(readers)
    while waiting:
        ready, _, _ = select.select(waiting, [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            break
        for reader in ready:
            part = os.read(reader, 65536)
            if not part:
                waiting.discard(reader)
            kept[reader] += part[: most - len(kept[reader])]
    for reader in readers:
        os.close(reader)
    return {reader: bytes(found) for reader, found in kept.items()}, bool(waiting)


def answer(text: str) -> None:
    """Writes the one line on standard output."""
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
