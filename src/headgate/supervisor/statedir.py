"""Finds where a node keeps its state, and locks it for one node at a time.

Two nodes on one host have two directories: `--node` (or `HEADGATE_NODE`) chooses.
"""

from __future__ import annotations

import fcntl
import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_NODE = "default"
MAX_SOCKET_PATH = 107  # sun_path less its NUL, unix(7)
INSTANCES = "instances"
"""The folder of the state directories of an agent's instances, in its own."""
INSTANCES_DOOR = "instances.sock"
"""The socket where an agent with instances answers."""
_LISTENING = "listening.json"
_LONGEST_SOCKET = "dp-000000-1000000.sock"
_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._-")
_MAX_NAME = 32


class StateDirError(Exception):
    """The node cannot use the directory; the message says why and what to do."""


def resolve(
    explicit: str | None, node: str | None, environment: Mapping[str, str], uid: int
) -> str:
    """Returns the state directory's absolute path; creates nothing.

    `explicit` (or `HEADGATE_STATE_DIR`) counts as it is. Otherwise it is the node's folder under
    systemd's `STATE_DIRECTORY`, under `/var/lib/headgate` for root, or under the user's XDG state
    directory. Raises StateDirError for a node name that is not a folder name.

    >>> resolve(None, None, {}, 0)
    '/var/lib/headgate/default'
    >>> resolve(None, "edge", {"HOME": "/home/a"}, 1000)
    '/home/a/.local/state/headgate/edge'
    """
    explicit = explicit or environment.get("HEADGATE_STATE_DIR")
    if explicit:
        return os.path.abspath(explicit)
    name = node or environment.get("HEADGATE_NODE") or DEFAULT_NODE
    if not set(name) <= _NAME_CHARACTERS or name[0] == "." or len(name) > _MAX_NAME:
        raise StateDirError(
            f"node name {name!r} is not valid; write at most {_MAX_NAME} of a-z 0-9 . _ -"
        )
    return os.path.join(_base(environment, uid), name)


def instance_dir(agent_dir: str, name: str) -> str:
    """Returns the state directory of one of the instances of an agent."""
    return os.path.join(agent_dir, INSTANCES, name)


def _base(environment: Mapping[str, str], uid: int) -> str:
    unit = environment.get("STATE_DIRECTORY", "").partition(":")[0]
    if unit:
        return unit
    if uid == 0:
        return "/var/lib/headgate"
    home = environment.get("HOME") or "/"
    state = environment.get("XDG_STATE_HOME") or os.path.join(home, ".local", "state")
    return os.path.join(state, "headgate")


def check_length(state_dir: str) -> None:
    """Raises StateDirError if the Unix sockets in it would have names that are too long."""
    longest = os.path.join(state_dir, _LONGEST_SOCKET)
    if len(os.fsencode(longest)) > MAX_SOCKET_PATH:
        raise StateDirError(
            f"state directory {state_dir} is too long for a Unix socket in it"
            f" ({MAX_SOCKET_PATH} bytes); choose a shorter one with --state-dir"
        )


def remember(state_dir: str, listening: dict[str, int]) -> None:
    """Stores the open addresses and their backlogs; a full disk does not stop the supervisor."""
    path = os.path.join(state_dir, _LISTENING)
    try:
        with open(path + ".new", "w") as file:
            json.dump(listening, file)
        os.replace(path + ".new", path)
    except OSError:
        pass  # the next start then waits for its control process


def remembered(state_dir: str) -> dict[str, int]:
    """Returns what `remember` wrote last; empty without a readable file."""
    try:
        with open(os.path.join(state_dir, _LISTENING)) as file:
            found = json.load(file)
        return {str(address): int(backlog) for address, backlog in found.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


class Lock:
    """An exclusive lock on a state directory, held until the process ends."""

    def __init__(self, state_dir: str) -> None:
        """Makes the directory (0700) and takes the lock.

        Raises StateDirError when another node holds it, or when the directory cannot be made.
        """
        check_length(state_dir)
        path = os.path.join(state_dir, "lock")
        try:
            os.makedirs(state_dir, mode=0o700, exist_ok=True)
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateDirError(
                f"state directory {state_dir} cannot be used: {error.strerror};"
                " choose another with --state-dir"
            ) from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._fd, 32, 0).decode(errors="replace").strip()
            os.close(self._fd)
            raise StateDirError(
                f"another node (pid {holder or 'unknown'}) uses {state_dir};"
                " give this one another name with --node"
            ) from error
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, b"%d\n" % os.getpid(), 0)
