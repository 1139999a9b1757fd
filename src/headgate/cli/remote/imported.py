"""Reads the folder of an imported nginx config for a master: its kept text becomes one object, and
files of this host that its model names become secret files of the workspace."""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, cast

from headgate._core import Document
from headgate.engines.nginx.imports import published
from headgate.engines.nginx.imports.bundle import MAP, MODEL, BrokenBundleError, as_imported
from headgate.engines.nginx.imports.objects import Table
from headgate.engines.nginx.imports.source import read_bundle
from headgate.kernel.diagnostics import Diagnostic
from headgate.model.text import position

_LONGEST: Final = 100
_DIGEST: Final = 8
_UNFIT: Final = re.compile(r"[^A-Za-z0-9._-]+")
_FROM_FOLDER: Final = ("node", "nginx")


@dataclass(frozen=True, slots=True)
class ImportFolder:
    """The folder of an import, with the names of secret files for files of this host."""

    folder: Path
    files: Mapping[str, bytes]
    secrets: Mapping[str, str]

    @property
    def key(self) -> tuple[str, str]:
        """The kind and name of the object with its kept text."""
        return published.SECTION, _UNFIT.sub("-", self.folder.absolute().name).strip("-") or "nginx"

    def spec(self) -> dict[str, object]:
        """Returns the object; raises CannotTravelError, BrokenBundleError."""
        return published.spec_of(self.files, self.secrets)

    def with_secrets(self, spec: dict[str, object]) -> dict[str, object]:
        """Returns an object of the model that names secret files in place of files."""
        return cast("dict[str, object]", published.with_secrets(cast("Table", spec), self.secrets))


def wrong(folder: Path, error: published.CannotTravelError | BrokenBundleError) -> Diagnostic:
    """Returns why an import, or a part of it, cannot be published."""
    if isinstance(error, published.CannotTravelError):
        part = ".".join(error.part) or "the import"
        what = f"{part} cannot be published: {error.what}"
        return Diagnostic(file=str(folder), message=what, allowed=error.allowed)
    what = f"the folder is not a whole import: {error}"
    return Diagnostic(file=str(folder), message=what, allowed="import the config again")


def folder_of(document: Path) -> Path | None:
    """Returns the folder of the import that a document is the model of."""
    folder = document.parent
    return folder if document.name == MODEL and (folder / MAP).is_file() else None


def is_part(path: Path, below: Path) -> bool:
    """Reports whether a file below a folder belongs to an import, and is not its model."""
    for folder in path.parents:
        if folder_of(folder / MODEL) is not None and (folder / MODEL).is_file():
            return path != folder / MODEL
        if folder == below:
            break
    return False


def read(folder: Path) -> ImportFolder:
    """Returns the import in a folder; raises OSError, BrokenBundleError."""
    files = read_bundle(folder)
    paths: set[str] = set()
    try:
        for text in (files[MODEL].decode(), as_imported(files)):
            paths.update(published.host_files(tomllib.loads(text)))
    except ValueError as error:
        raise BrokenBundleError(str(error)) from None
    return ImportFolder(folder, files, secret_names(paths))


def secret_names(paths: Iterable[str]) -> dict[str, str]:
    """Returns a name for each file, which is the same whatever other files there are, unless two
    have the same readable name.

    >>> secret_names(["/etc/nginx/users", "/etc/ssl/a b.key"])
    {'/etc/nginx/users': 'etc-nginx-users', '/etc/ssl/a b.key': 'etc-ssl-a-b.key'}
    """
    found: dict[str, str] = {}
    for path in sorted(paths):
        name = _UNFIT.sub("-", path.strip("/")).lstrip(".") or "file"
        if len(name) > _LONGEST or name in found.values():
            digest = sha256(path.encode()).hexdigest()[:_DIGEST]
            name = f"{name[-_LONGEST:].lstrip('.')}-{digest}"
        found[path] = name
    return found


def unpublished(document: Document, name: str) -> Diagnostic | None:
    """Returns why an entry of `[node]` beside an import cannot be published; None for the one that
    names the folder."""
    spec = document.entry("node", name)
    keys: tuple[str, ...] = ()
    if name == _FROM_FOLDER[1] and isinstance(spec, dict):
        keys = tuple(key for key in spec if key != "imported")
        if not keys:
            return None
    path = ("node", name, *keys[:1]) if name else ("node",)
    line, column = position(document, path, "key")
    return Diagnostic(
        file=document.name,
        line=line,
        column=column,
        message=f"`{'.'.join(path)}` cannot be published: a node's own settings stay on the node",
        allowed="write it into the file of each node (`headgate agent --config`), and remove it",
    )


def lacking(secrets: Mapping[str, str], known: Iterable[str]) -> Iterator[str]:
    """Yields what is missing at the master: the secret files of an import that it does not have."""
    there = set(known)
    for path, name in sorted(secrets.items()):
        if name not in there:
            yield (
                f"{path} is a file of this host, and the workspace has no secret {name}; make it"
                f" with `headgate create secret {name} --from-file {path}`"
            )
