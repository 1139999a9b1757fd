"""Gives up, before `headgate run`, every right that the processes of a node do not need.

As root, a native node becomes the node's user, whose processes may still open ports below 1024 and,
but for the data plane, read files that only root may. Where nginx serves, root stays root, because
nginx's master is, with the capabilities that driving it takes. It warns of rights that it cannot
give up; the node's status says what each process has.
"""

import os
import pwd
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headgate.node import capabilities
from headgate.node.rights import NAMES
from headgate.supervisor.stderr import say

DEFAULT_USER: Final = "headgate"
ROOT: Final = "root"


class RightsError(Exception):
    """The node cannot run as the user that the config names; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Places:
    """The node's files: its state directory, and its access log where that is a file."""

    state_dir: Path
    access_log: Path | None = None


def give_up(user: str | None, places: Places) -> None:
    """Gives up every right that serving does not need. `user` is as the config says.

    Raises RightsError, with nothing changed, where that user is unknown or cannot serve.
    """
    _try("processes may gain rights", capabilities.no_new_rights)
    if os.geteuid() != 0:
        if user is not None and user != pwd.getpwuid(os.geteuid()).pw_name:
            _warn(f'node.user = "{user}" is not used: only root can start a node as another user')
        _try("capabilities are kept", capabilities.keep)
        return
    entry = _wanted(user)
    if entry is not None:
        try:
            _prepare(entry, places)
        except OSError as error:
            _stay_root(user, f'the user "{entry.pw_name}" cannot use {_named(error)}')
            entry = None
    if entry is None:  # what it keeps does not bypass permissions: it is a user like others
        with suppress(OSError):
            _prepare(pwd.getpwuid(0), places)
    try:
        capabilities.keep(entry)
    except OSError as error:
        if entry is not None and os.geteuid() == 0:
            _stay_root(user, f'root may not become "{entry.pw_name}": {error.strerror}')
        _warn(f"capabilities are kept: {error.strerror}")


def keep_for_nginx(kept: Iterable[str], user: str | None) -> None:
    """Keeps the capabilities of these names, and the user; `user` is as the config says."""
    if user is not None:
        _warn("node.user is not used where nginx serves; write node.nginx.user")
    _try("processes may gain rights", capabilities.no_new_rights)
    bits = [bit for bit, name in enumerate(NAMES) if name in set(kept)]
    _try("capabilities are kept", lambda: capabilities.keep_only(bits))


def _stay_root(user: str | None, why: str) -> None:
    """Warns and stays root; raises RightsError if the config names a user,
    since no other may serve.
    """
    if user is not None:
        raise RightsError(f"{why}; give it access, or write another node.user")
    _warn(f'the node runs as root: {why}; give it access, or write node.user = "root"')


def _named(error: OSError) -> str:
    return f"{error.filename or 'the state directory'}: {error.strerror}"


def _wanted(user: str | None) -> pwd.struct_passwd | None:
    """Returns the user to run the node; None = root stays."""
    if user == ROOT:
        return None
    try:
        entry = pwd.getpwnam(user or DEFAULT_USER)
    except KeyError:
        if user is not None:
            raise RightsError(
                f'there is no user "{user}"; create it (useradd --system {user}), or write another '
                "node.user"
            ) from None
        _warn(
            f'the node runs as root: there is no user "{DEFAULT_USER}"; create it '
            f'(useradd --system {DEFAULT_USER}), or write node.user = "root" if root is meant'
        )
        return None
    return None if entry.pw_uid == 0 else entry


def _prepare(entry: pwd.struct_passwd, places: Places) -> None:
    """Gives the user what the node writes, and tests the access; OSError without it."""
    state = places.state_dir
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder, _, names, fd in os.fwalk(state):
        for name in (".", *names):
            _hand_over(entry, fd, name, f"{folder}/{name}")
    with _acting_as(entry):
        list(state.iterdir())
    if places.access_log is not None:
        _prepare_log(entry, places.access_log)


def _hand_over(entry: pwd.struct_passwd, folder: int, name: str, path: str) -> None:
    """Gives one file of the state directory to the user.

    A file with another name elsewhere may be a trap of the previous user: it stays as it is.
    """
    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    is_ours = found.st_nlink == 1 or name == "."
    if is_ours and found.st_uid != entry.pw_uid:
        try:
            os.chown(name, entry.pw_uid, entry.pw_gid, dir_fd=folder, follow_symlinks=False)
        except OSError as error:
            error.filename = path
            raise


def _prepare_log(entry: pwd.struct_passwd, path: Path) -> None:
    """Makes the log for its writer before that starts, as nginx's master does."""
    if _can_append(entry, path):
        return
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    fd = os.open(path, flags, 0o640)
    try:
        if os.fstat(fd).st_nlink == 1:
            os.fchown(fd, entry.pw_uid, -1)
    finally:
        os.close(fd)
    if not _can_append(entry, path):
        raise PermissionError(13, "permission denied", str(path))


def _can_append(entry: pwd.struct_passwd, path: Path) -> bool:
    if entry.pw_uid == 0:
        found = path.stat() if path.exists() else None
        return found is not None and (found.st_uid == 0 or not stat.S_ISREG(found.st_mode))
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK
    with _acting_as(entry):
        try:
            os.close(os.open(path, flags, 0o640))
        except OSError:
            return False
    return True


@contextmanager
def _acting_as(entry: pwd.struct_passwd) -> Iterator[None]:
    """Uses files as this user meanwhile, for which the kernel drops root's capabilities."""
    groups, gid = os.getgroups(), os.getegid()
    os.setgroups(os.getgrouplist(entry.pw_name, entry.pw_gid))
    os.setegid(entry.pw_gid)
    os.seteuid(entry.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(gid)
        os.setgroups(groups)


def _try(what: str, step: Callable[[], None]) -> None:
    """Does a step; the node serves even if a kernel or a container refuses it."""
    try:
        step()
    except OSError as error:
        _warn(f"{what}: {error.strerror}")


def _warn(text: str) -> None:
    say(f"headgate: warning: {text}")
