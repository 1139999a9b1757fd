"""Finds the nginx masters that run here,
and what their binaries have built in; executes nothing.
"""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from headgate.engines.nginx.common.types import Process
from headgate.engines.nginx.instance.procfs import Procfs, Seen
from headgate.engines.nginx.instance.rooted import RootedFiles
from headgate.engines.nginx.observe.facts import BuiltIn

_BINARY_BYTES: Final = 64 * 1024 * 1024
_ARGUMENTS: Final = re.compile(rb"configure arguments:( --[ -~]*)")
_VERSION: Final = re.compile(rb"nginx version: ([ -~]{1,100})|\0((?:nginx|openresty)/[0-9.]+)\0")
_DELETED: Final = " (deleted)"


@dataclass(frozen=True, slots=True)
class Running:
    """A running master. Paths are as it sees them; `root` is its root as a path of ours.

    `binary` is empty where unreadable. `shares_network`: its own addresses reach its listeners from
    here.
    """

    master: Process
    conf: str
    binary: str
    root: Path
    built_in: BuiltIn
    shares_network: bool = True

    @property
    def files(self) -> RootedFiles:
        """The files it sees."""
        return RootedFiles(self.root)

    @property
    def conf_folder(self) -> str:
        """The folder that includes and certificates are relative to."""
        return str(PurePosixPath(self.conf).parent)


def running(procfs: Procfs | None = None) -> list[Running]:
    """Returns every nginx master here, oldest first; both in a binary upgrade."""
    proc = procfs or Procfs()
    return [found for seen in proc.masters() if (found := _running(seen, proc)) is not None]


def processes(one: Running, procfs: Procfs | None = None) -> tuple[Process | None, list[Process]]:
    """Returns the master and its workers now; (None, []) once that master is gone."""
    proc = procfs or Procfs()
    seen = proc.look(one.master.pid)
    if seen is None or seen.started != one.master.started:
        return None, []
    workers = sorted(
        (child for child in proc.children(seen.pid) if child.is_worker),
        key=lambda child: (child.started, child.pid),
    )
    return seen.process, [worker.process for worker in workers]


def built_in_of(binary: bytes) -> BuiltIn:
    """Returns the arguments of `configure`, which the binary holds for `-V`.

    >>> built_in_of(b"x configure arguments: --prefix=/p --conf-path=/etc/n.conf").conf_path
    '/etc/n.conf'
    """
    arguments = _ARGUMENTS.search(binary)
    text = arguments[1].decode() if arguments else ""
    version = _VERSION.search(binary)
    prefix = _argument(text, "prefix") or BuiltIn().prefix
    conf = _under(prefix, _argument(text, "conf-path") or "conf/nginx.conf")
    return BuiltIn(
        version=(version[1] or version[2]).decode() if version else "",
        prefix=prefix,
        conf_path=conf,
        error_log=_error_log(prefix, _argument(text, "error-log-path")),
        http_log=_under(prefix, _argument(text, "http-log-path") or "logs/access.log"),
        arguments=text.strip(),
    )


def _running(seen: Seen, procfs: Procfs) -> Running | None:
    root = _root(seen, procfs)
    binary, built_in = _binary(seen, root, procfs)
    prefix = _option(seen, "p") or built_in.prefix
    error_log = _option(seen, "e")
    built_in = BuiltIn(
        version=built_in.version,
        prefix=prefix,
        conf_path=built_in.conf_path,
        error_log=_under(prefix, error_log) if error_log else built_in.error_log,
        http_log=built_in.http_log,
        arguments=built_in.arguments,
    )
    conf = _under(prefix, seen.config() or built_in.conf_path)
    shares = _same(procfs, seen.pid, "ns/net")
    return Running(seen.process, conf, binary, root, built_in, shares)


def _binary(seen: Seen, root: Path, procfs: Procfs) -> tuple[str, BuiltIn]:
    """Returns its path and what it has built in: by /proc, else by its path at the start."""
    executable = procfs.executable(seen.pid)
    try:
        path = str(executable.readlink()).removesuffix(_DELETED)
        with executable.open("rb") as file:
            return path, built_in_of(file.read(_BINARY_BYTES))
    except OSError:
        path = seen.title.removeprefix("nginx: master process ").partition(" ")[0]
    try:
        with (root / path.lstrip("/")).open("rb") as file:
            return path, built_in_of(file.read(_BINARY_BYTES))
    except OSError:
        return "", BuiltIn()


def _same(procfs: Procfs, pid: int, what: str) -> bool:
    """Reports whether a process is in our namespace of that kind; True where we may not look."""
    try:
        theirs, ours = ((procfs.path / who / what).stat() for who in (str(pid), "self"))
    except OSError:
        return True
    return (theirs.st_dev, theirs.st_ino) == (ours.st_dev, ours.st_ino)


def _root(seen: Seen, procfs: Procfs) -> Path:
    """Returns `/` if it sees what we see, else the path to its own root."""
    theirs = procfs.root(seen.pid)
    try:
        here, there = Path("/").stat(), theirs.stat()
    except OSError:
        return Path("/")
    is_same = (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)
    return Path("/") if is_same and _same(procfs, seen.pid, "ns/mnt") else theirs


def _option(seen: Seen, letter: str) -> str:
    """Returns the word after an option in a master's title; empty without."""
    _, _, arguments = seen.title.partition("master process ")
    found = re.search(rf"(?:^|\s)-{letter}\s*(\S+)", arguments)
    return found[1] if found else ""


def _argument(text: str, name: str) -> str:
    found = re.search(rf"(?:^|\s)--{name}=(\S+)", text)
    return found[1] if found else ""


def _error_log(prefix: str, given: str) -> str:
    return given if given == "stderr" else _under(prefix, given or "logs/error.log")


def _under(prefix: str, path: str) -> str:
    return str(PurePosixPath(prefix) / path)
