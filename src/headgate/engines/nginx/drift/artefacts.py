"""Keeps what drift left, with a diff, before a heal."""

import difflib
import os
import shutil
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from headgate.engines.nginx.drift.finding import Desired, Edit, Finding

_KEPT: Final = 20
_MOST_BYTES: Final = 8 * 1024 * 1024
_SECRET: Final = (b"PRIVATE KEY-----",)
_SECRET_NAMES: Final = ("htpasswd", ".key")

Original = Callable[[str], bytes | None]
"""The content a path of a `Desired` should have; None where it is not known."""


class Artefact(msgspec.Struct, frozen=True):
    """A kept finding: where it is and its diff, in which secrets are only hashes."""

    folder: str
    diff: str


@dataclass(frozen=True, slots=True)
class Artefacts:
    """Kept findings in one folder, the newest twenty; `clock` gives seconds since the epoch."""

    folder: Path
    clock: Callable[[], float] = time.time

    def keep(self, desired: Desired, finding: Finding, original: Original) -> Artefact:
        """Copies every edited and added file beside, with `changes.diff` and `about.json`.

        Raises OSError: a heal must not overwrite what could not be kept.
        """
        now = self.clock()
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03}"
        target = self._fresh(f"{stamp}-{finding.generation}")
        for edit in finding.edits:
            _copy(Path(desired.root, edit.path), target / "files" / edit.path.lstrip("/"))
        diff = diff_of(desired, finding, original)
        (target / "changes.diff").write_text(diff)
        (target / "about.json").write_bytes(msgspec.json.encode(finding))
        self._prune(target)
        return Artefact(str(target), diff)

    def _fresh(self, name: str) -> Path:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for number in range(1000):
            target = self.folder / (f"{name}-{number:03}" if number else name)
            try:
                target.mkdir(mode=0o700)
            except FileExistsError:
                continue
            return target
        raise FileExistsError(f"{self.folder}/{name} is there a thousand times")

    def _prune(self, newest: Path) -> None:
        others = sorted(path for path in self.folder.iterdir() if path != newest)
        for old in others[: -(_KEPT - 1)]:
            shutil.rmtree(old, ignore_errors=True)


def diff_of(desired: Desired, finding: Finding, original: Original) -> str:
    """Returns a unified diff from what should be to what is, one part for each edit.

    Of keys, password files and binary files it shows only digests.
    """
    return "".join(_part(Path(desired.root), edit, original(edit.path)) for edit in finding.edits)


def _part(root: Path, edit: Edit, before: bytes | None) -> str:
    after = content_of(root / edit.path)
    if edit.how in {"mode", "link"}:
        return f"{edit.path}: {edit.how}\n"
    if is_secret(root / edit.path, before, after):
        return f"{edit.path}: {edit.how}, sha256 {edit.sha256 or 'none'}\n"
    old, new = lines_of(before), lines_of(after)
    if old is None or new is None:
        return f"{edit.path}: {edit.how}, sha256 {edit.sha256 or 'none'}\n"
    a = "/dev/null" if edit.how == "added" else f"a/{edit.path}"
    b = "/dev/null" if edit.how == "missing" else f"b/{edit.path}"
    return "".join(difflib.unified_diff(old, new, a, b))


def is_secret(path: Path, *contents: bytes | None) -> bool:
    """Says whether a file's contents are shown to nobody: keys, password files."""
    if any(name in path.name for name in _SECRET_NAMES):
        return True
    return any(mark in content for content in contents if content for mark in _SECRET)


def content_of(path: Path) -> bytes | None:
    """Returns what is in a file; None for none, for a link, and for one over 8 MiB."""
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > _MOST_BYTES:
            return None
        return path.read_bytes()
    except OSError:
        return None


def lines_of(content: bytes | None) -> list[str] | None:
    """Returns the lines of a text, each with its end;
    [] for a missing file; None for a binary one.
    """
    if content is None:
        return []
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n\\ No newline at end of file\n"
    return lines


def _copy(source: Path, target: Path) -> None:
    """Copies a file or a link, readable for us alone; does nothing without one."""
    try:
        found = source.lstat()
    except FileNotFoundError:
        return
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if stat.S_ISLNK(found.st_mode):
        target.symlink_to(source.readlink())
    elif stat.S_ISREG(found.st_mode):
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file, source.open("rb") as edited:
            shutil.copyfileobj(edited, file)
