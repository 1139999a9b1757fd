"""Keeps the masters that a person has logged in to: one file, which its owner alone can read."""

import contextlib
import fcntl
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from headgate.cli.remote.errors import ContextError
from headgate.kernel.files import replace_file

FILE: Final = "contexts.json"
LOCK: Final = ".contexts.lock"
"""Beside the file, which is replaced as a whole and so cannot be locked itself."""
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class Context(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One master and who the person is there.

    `authority` is a file of CA certificates, empty for those of the system. An API token has no
    `refresh_token`.
    """

    url: str
    access_token: str
    refresh_token: str = ""
    workspace: str = ""
    authority: str = ""


class Contexts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every context, and the name of the one that commands use."""

    current: str = ""
    contexts: dict[str, Context] = {}

    def named(self, name: str = "") -> Context:
        """Returns a context, or the current one; raises ContextError."""
        wanted = name or self.current
        found = self.contexts.get(wanted)
        if found is not None:
            return found
        if not wanted:
            raise ContextError("there is no context; log in with `headgate login URL`")
        known = ", ".join(sorted(self.contexts)) or "none"
        raise ContextError(f'there is no context "{wanted}"; choose one of: {known}')

    def holding(self, name: str, context: Context) -> "Contexts":
        """Returns the same with one context more, or changed; it becomes the current one."""
        return Contexts(name, self.contexts | {name: context})

    def changed(self, name: str, context: Context) -> "Contexts":
        """Returns the same with a context changed; the current one stays."""
        return Contexts(self.current, self.contexts | {name: context})

    def using(self, name: str) -> "Contexts":
        """Returns the same with another current context; raises ContextError."""
        self.named(name)
        return Contexts(name, self.contexts)

    def without(self, name: str) -> "Contexts":
        """Returns the same without a context; raises ContextError."""
        self.named(name)
        rest = {key: one for key, one in self.contexts.items() if key != name}
        return Contexts("" if self.current == name else self.current, rest)


def place(env: Mapping[str, str]) -> Path:
    """Returns the file that holds the contexts.

    >>> str(place({"HEADGATE_CONFIG_HOME": "/home/ann/.headgate"}))
    '/home/ann/.headgate/contexts.json'
    """
    own = env.get("HEADGATE_CONFIG_HOME")
    if own:
        return Path(own) / FILE
    home = env.get("XDG_CONFIG_HOME") or Path(env.get("HOME", "/")) / ".config"
    return Path(home) / "headgate" / FILE


def load(file: Path) -> Contexts:
    """Returns the contexts; none if the file does not exist. Raises ContextError."""
    try:
        if file.stat().st_mode & _OTHERS:
            raise ContextError(
                f"{file} holds tokens and others can read it; run `chmod 600 {file}`, and log in "
                "again if they may have"
            )
        return msgspec.json.decode(file.read_bytes(), type=Contexts)
    except FileNotFoundError:
        return Contexts()
    except OSError as error:
        raise ContextError(f"{file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ContextError(f"{file} is broken: {error}; remove it and log in again") from error


def save(file: Path, contexts: Contexts) -> None:
    """Writes the contexts, whole or not at all, readable by their owner alone."""
    try:
        _make_folder(file)
        content = msgspec.json.format(msgspec.json.encode(contexts), indent=2) + b"\n"
        replace_file(file, content)
    except OSError as error:
        raise ContextError(f"{file} cannot be written: {error.strerror}") from error


def change(file: Path, changed: Callable[[Contexts], Contexts]) -> Contexts:
    """Changes the contexts as they are now, while no other command does; returns them."""
    with locked(file):
        found = changed(load(file))
        save(file, found)
        return found


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """Lets no other command change the contexts for the block; waits for one that does."""
    lock = file.with_name(LOCK)
    try:
        _make_folder(file)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ContextError(f"{lock} cannot be locked: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _make_folder(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
