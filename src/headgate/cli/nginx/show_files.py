"""Prints, writes and compares rendered files for people;
never shows key material. Pure but for `write`.
"""

import difflib
import hashlib
import os
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from headgate.engines.nginx.common.spelling import spellings
from headgate.engines.nginx.common.types import Rendered, RenderedFile

_HIDDEN: Final = "(not shown)"
_SECRET_MODE: Final = 0o600
_SECRET_TEXT: Final = re.compile(
    rb"-----BEGIN [A-Z ]*PRIVATE KEY-----|^[^:\n]+:\$(?:2[aby]|apr1|[156])\$", re.MULTILINE
)
_VALUED: Final = re.compile(
    r"\s*(?:proxy_set_header|grpc_set_header|add_header|more_\w+|set)\s+\S+"
)
"""Directives whose values users may keep in files: what follows is hidden where it is not known
to be no secret."""


class ShownFile(msgspec.Struct, frozen=True):
    """A file; `content` is empty where it is secret, `sha256` tells whether it changed."""

    path: str
    mode: str
    sha256: str
    content: str
    is_secret: bool


class FileDiff(msgspec.Struct, frozen=True):
    """A file that an apply would change; `lines` is a unified diff, empty for a secret."""

    path: str
    change: str
    lines: tuple[str, ...]


def is_secret(file: RenderedFile) -> bool:
    """Reports whether a file holds keys or passwords."""
    return file.mode & 0o777 == _SECRET_MODE or _SECRET_TEXT.search(file.content) is not None


def printed(rendered: Rendered, *, is_json: bool, secrets: Collection[str] = ()) -> str:
    """Returns all files, in order of their paths, as text or JSON."""
    secrets = _as_written(secrets)
    files = [_shown(file, secrets) for file in sorted(rendered.files, key=lambda one: one.path)]
    if is_json:
        return msgspec.json.encode(files).decode() + "\n"
    return "".join(
        f"# --- {file.path} ({file.mode})\n"
        + (f"# {_HIDDEN}, sha256 {file.sha256}\n" if file.is_secret else file.content)
        for file in files
    )


def write(rendered: Rendered, folder: Path) -> None:
    """Writes all files with their modes into an empty folder; raises OSError, also if it is not."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(17, "the directory is not empty", str(folder))
    for file in rendered.files:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with os.fdopen(os.open(path, flags, file.mode), "wb") as out:
            out.write(file.content)


def differences(
    before: Mapping[str, RenderedFile], after: Mapping[str, RenderedFile], secrets: Collection[str]
) -> Iterator[FileDiff]:
    """Yields the differences by path. `secrets` are texts of the plan that must not be shown."""
    secrets = _as_written(secrets)
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if old is not None and new is not None and old.content == new.content:
            continue
        change = "added" if old is None else "removed" if new is None else "changed"
        if any(one is not None and is_secret(one) for one in (old, new)):
            yield FileDiff(path, f"{change}, content {_HIDDEN}", ())
            continue
        known = _lines(new)
        lines = difflib.unified_diff(
            [_veiled(line, known, secrets) for line in _lines(old)],
            [_without(line, secrets) for line in known],
            f"current/{path}",
            f"new/{path}",
            lineterm="",
        )
        yield FileDiff(path, change, tuple(lines))


def _veiled(line: str, known: Collection[str], secrets: Collection[str]) -> str:
    """Returns a line of the release that serves;
    a value that the new config does not have may have been a secret of the old one.
    """
    if line in known:
        return _without(line, secrets)
    found = _VALUED.match(line)
    return f"{found[0]} {_HIDDEN};" if found else _without(line, secrets)


def _as_written(secrets: Collection[str]) -> list[str]:
    """Returns what the files have of secrets; the longest first, which may hold others."""
    return sorted(spellings(secrets), key=len, reverse=True)


def _without(line: str, secrets: Collection[str]) -> str:
    for secret in secrets:
        line = line.replace(secret, _HIDDEN)
    return line


def _lines(file: RenderedFile | None) -> list[str]:
    return [] if file is None else file.content.decode(errors="replace").splitlines()


def _shown(file: RenderedFile, secrets: Collection[str]) -> ShownFile:
    hidden = is_secret(file)
    text = "" if hidden else _without(file.content.decode(errors="replace"), secrets)
    digest = hashlib.sha256(file.content).hexdigest()
    return ShownFile(file.path, f"{file.mode:04o}", digest, text, hidden)
