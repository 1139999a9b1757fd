"""Reads and writes for an import: the edge of the package."""

import os
import shutil
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from headgate.engines.nginx.imports.objects import NotExpressibleError
from headgate.engines.nginx.instance import NginxInstance, Place
from headgate.engines.nginx.instance.rooted import RootedFiles
from headgate.engines.nginx.observe.masters import Running, running
from headgate.nginxtext.dump import DumpedFiles, NoDumpError, files_of
from headgate.nginxtext.includes import Tree, load

ENTRY: Final = "nginx.conf"
_DUMP_BEGINS: Final = (b"# configuration file /", b"nginx: ")
_FILE_MODE: Final = 0o640
_FOLDER_MODE: Final = 0o750


class NoSourceError(Exception):
    """Found nothing to import; says why."""


def tree_at(path: Path) -> Tree:
    """Returns the config at a path: an entry file, a directory with `nginx.conf`, or what `nginx
    -T` printed. Raises `NoSourceError` if it is unreadable.
    """
    entry = path / ENTRY if path.is_dir() else path
    try:
        begin = entry.read_bytes()
    except OSError as error:
        raise NoSourceError(f"{entry}: {error.strerror}") from None
    if begin.startswith(_DUMP_BEGINS):
        return tree_of_dump(begin)
    return load(str(PurePosixPath(entry.absolute())), RootedFiles())


def tree_of_dump(dump: bytes) -> Tree:
    """Returns the config in what `nginx -T` printed; raises `NoSourceError`."""
    try:
        files = files_of(dump)
    except NoDumpError as error:
        raise NoSourceError(str(error)) from None
    return load(next(iter(files)), DumpedFiles(files))


def tree_of_running(pid: int | None) -> Tree:
    """Returns the config of the nginx that runs here,
    as its own binary prints it (`-T`, confined).

    Raises `NoSourceError` unless exactly one runs or is named, or if nginx refuses it.
    """
    found = [one for one in running() if pid is None or one.master.pid == pid]
    if len(found) != 1:
        pids = ", ".join(str(one.master.pid) for one in found)
        why = f"several run: {pids}; name one" if found else "none runs that we may see"
        raise NoSourceError(f"no nginx to import: {why}")
    try:
        return tree_of_dump(_instance(found[0]).dump())
    except ValueError as error:
        raise NoSourceError(f"{found[0].conf}: {error}") from None


def _instance(one: Running) -> NginxInstance:
    return NginxInstance(Place(conf=one.conf, binary=one.binary or "nginx"))


def users_at(path: str) -> bytes:
    """Returns a file of users; raises `OSError`, and `NotExpressibleError` if headgate would not
    take it because every user of the host may read it.
    """
    mode = Path(path).stat().st_mode
    if not stat.S_ISREG(mode):
        raise NotExpressibleError(f"{path}: it is not a regular file")
    if mode & stat.S_IROTH:
        raise NotExpressibleError(f"{path}: every user of this host may read it; chmod o-r it")
    return Path(path).read_bytes()


def write_bundle(files: Mapping[str, bytes], folder: Path) -> None:
    """Writes a bundle as a whole or not at all; readable by owner and group.

    Raises `FileExistsError` if the folder exists and is not empty, other `OSError` as it comes.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(17, "exists and is not an empty directory", str(folder))
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        for name, content in files.items():
            place = scratch / name
            place.parent.mkdir(mode=_FOLDER_MODE, exist_ok=True)
            descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        scratch.chmod(_FOLDER_MODE)
        scratch.replace(folder)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def read_bundle(folder: Path) -> dict[str, bytes]:
    """Returns the files of a bundle by their path in it; raises `OSError`."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
