"""Runs commands of another's binary, confined: one short-lived process, JSON in, JSON out.

Started as `python -I -S confined.py` with the request on standard input (`sandbox.py` writes it);
standard library alone. It enters the instance's root where that is another one, makes a private
copy of the tree where it may, gives up every right that `nginx -t` does not need, and only then
runs the commands, one after the other.
"""

# System calls in a process that lives for milliseconds: no pathlib.
# ruff: noqa: PTH102, PTH123
import contextlib
import errno
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

import confined_world as world  # type: ignore[import-not-found,unused-ignore]

_PLACES: Final = ("/tmp", "/var/tmp", "/dev/shm", "/run")  # noqa: S108
_ENVIRONMENT: Final = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}


class Request(TypedDict):
    """`root_pid`: whose root is entered; 0 = ours. `{folder}` in arguments becomes the scratch."""

    root_pid: int
    proc: str
    own_network: bool
    files: dict[str, str]
    commands: list[list[str]]
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
    """A step before the commands that was not possible."""

    def __init__(self, step: str, error: OSError) -> None:
        super().__init__(f"{step}: {error.strerror}")
        self.step = step
        self.number = error.errno or 0


def main() -> None:
    """Reads the request, answers with the results or with what was refused."""
    world.die_with_parent()
    request: Request = json.load(sys.stdin)
    try:
        isolation, why = enter(request)
    except Refused as refused:
        answer(json.dumps({"refused": refused.step, "errno": refused.number, "why": str(refused)}))
        return
    if isolation == "copy":
        in_own_processes(request, isolation, why)
    else:
        run_all(request, isolation, why)


def enter(request: Request) -> tuple[str, str]:
    """Goes into the root and copies it; ("copy" | "rights" | "user", why not more).

    "copy": what is written stays in memory. "rights": as root, without the copy. "user": as the
    user we are.
    """
    pid, proc = request["root_pid"], request["proc"]
    is_root = os.geteuid() == 0
    handles = _opened(proc, pid) if pid else None
    mountinfo = os.open(proc, os.O_PATH | os.O_DIRECTORY)
    why = f"uid {os.geteuid()} is not root"
    if is_root:
        try:
            _copy(handles, mountinfo, request["own_network"])
        except OSError as error:
            why = str(error.strerror)
        else:
            return "copy", ""
    if handles is not None:
        _chrooted(handles[0], is_root=is_root)
    return ("rights" if is_root else "user"), why


def _opened(proc: str, pid: int) -> tuple[int, int]:
    try:
        root = os.open(f"{proc}/{pid}/root", os.O_PATH | os.O_DIRECTORY)
        return root, os.open(f"{proc}/{pid}/ns/mnt", os.O_RDONLY)
    except OSError as error:
        raise Refused("root", error) from error


def _copy(handles: tuple[int, int] | None, proc: int, own_network: bool) -> None:
    own = os.stat("self/ns/mnt", dir_fd=proc).st_ino
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        # Tried in a process of its own first: half-entered namespaces cannot be left again.
        try:
            _enter_copy(handles, proc, own, own_network)
        except Exception as error:
            os.write(writer, str(error).encode(errors="replace"))
        os._exit(0)
    os.close(writer)
    with open(reader, errors="replace") as said:
        why = said.read()
    os.waitpid(child, 0)
    if why:
        raise OSError(errno.EPERM, f"no copy of the tree, {why}")
    _enter_copy(handles, proc, own, own_network)


def _enter_copy(handles: tuple[int, int] | None, proc: int, own: int, own_network: bool) -> None:
    if handles is not None:
        root, mounts = handles
        if os.fstat(mounts).st_ino != own:
            world.setns(mounts, world.CLONE_NEWNS)
        os.fchdir(root)
    flags = world.CLONE_NEWNS | world.CLONE_NEWPID | world.CLONE_NEWIPC | world.CLONE_NEWUTS
    world.unshare(flags | (world.CLONE_NEWNET if own_network else 0))
    world.private_mounts()
    if handles is not None:
        os.chroot(".")
    os.chdir("/")
    with open(os.open("self/mountinfo", os.O_RDONLY, dir_fd=proc)) as file:
        os.chroot(world.copied_tree(file.read()))
    os.chdir("/")


def _chrooted(root: int, *, is_root: bool) -> None:
    os.fchdir(root)
    try:
        os.chroot(".")
    except PermissionError as error:
        if is_root:
            raise Refused("chroot", error) from error
        _chrooted_as_user()


def _chrooted_as_user() -> None:
    """Without CAP_SYS_CHROOT: in a user namespace of its own, where the kernel allows one."""
    uid, gid = os.geteuid(), os.getegid()
    maps = os.open("/proc/self", os.O_PATH | os.O_DIRECTORY)
    try:
        world.unshare(world.CLONE_NEWUSER | world.CLONE_NEWNS)
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


def in_own_processes(request: Request, isolation: str, why: str) -> None:
    """The rest as first process of the new pid namespace: when it ends, all it started ends."""
    child = os.fork()
    if child == 0:
        world.die_with_parent()
        with contextlib.suppress(OSError):
            world.own_proc()
        run_all(request, isolation, why)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    sys.exit(0 if os.waitstatus_to_exitcode(status) == 0 else 1)


def run_all(request: Request, isolation: str, why: str) -> None:
    """Writes the files, runs the commands, answers."""
    folder = _folder(request["files"])
    try:
        if not world.give_up_rights(is_root=os.geteuid() == 0):
            why += "; its rights could not be given up without CAP_SETPCAP"
        results = [
            run([part.replace("{folder}", folder) for part in command], request)
            for command in request["commands"]
        ]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    text = {"isolation": isolation, "why": why, "folder": folder, "results": results}
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


def run(command: list[str], request: Request) -> Result:
    """One command: how it ended and what it wrote."""
    printed, said = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        _become(command, printed[1], said[1])
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


def _become(command: list[str], printed: int, said: int) -> None:
    try:
        world.die_with_parent()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        os.dup2(printed, 1)
        os.dup2(said, 2)
        os.execve(command[0], command, _ENVIRONMENT)  # noqa: S606
    except OSError as error:
        os.write(said, f"{command[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(127)


def _read(readers: tuple[int, ...], deadline: float, most: int) -> tuple[dict[int, bytes], bool]:
    """What each pipe gave until its end, cut after `most` bytes, and whether the time was over.

    What is cut is still read, so that the command is not held up by a full pipe.
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
    """The one line on standard output."""
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
