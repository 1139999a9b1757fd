"""Reads a directory of config documents as the resources of a workspace."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from headgate._core import Document
from headgate.kernel.diagnostics import Diagnostic
from headgate.model.text import SUFFIXES, read_document

Key = tuple[str, str]
Spec = dict[str, object]

_REFUSED: Final = {
    "node": "a node's own settings stay on the node: give them to `headgate agent`",
    "include": "name the directory with -f; every document in it is read",
}


@dataclass(frozen=True, slots=True)
class Written:
    """A resource as a document writes it."""

    spec: Spec
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Gathered:
    """The resources of documents by (kind, name), and what is wrong with the documents."""

    resources: dict[Key, Written]
    wrong: tuple[Diagnostic, ...]


def gather(paths: Sequence[Path]) -> Gathered:
    """Returns the resources of the documents at the paths; in directories all that have a suffix
    of a format. Raises OSError."""
    resources: dict[Key, Written] = {}
    wrong: list[Diagnostic] = []
    for path in _documents(paths):
        document = read_document(str(path), path.read_bytes())
        if isinstance(document, Diagnostic):
            wrong.append(document)
            continue
        for kind, name, _ in document.entries():
            found = _entry(document, kind, name)
            if isinstance(found, Diagnostic):
                wrong.append(found)
            elif (kind, name) in resources:
                wrong.append(_twice(found, resources[kind, name], kind, name))
            else:
                resources[kind, name] = found
    return Gathered(resources, tuple(wrong))


def _documents(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        inside = (one for one in path.rglob("*") if one.suffix.lower() in SUFFIXES)
        shown = (one for one in inside if not _is_hidden(one.relative_to(path)))
        yield from sorted(one for one in shown if one.is_file())


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _entry(document: Document, kind: str, name: str) -> Written | Diagnostic:
    path = (kind, name) if name else (kind,)
    line, column = document.locate(path, "key") or (1, 1)
    spec = document.entry(kind, name)
    if kind in _REFUSED or not name or not isinstance(spec, dict):
        allowed = _REFUSED.get(kind, "write a table of named objects")
        message = f"`{kind}` is not a resource of a workspace"
        return Diagnostic(
            file=document.name, line=line, column=column, message=message, allowed=allowed
        )
    return Written(cast("Spec", spec), document.name, line)


def _twice(second: Written, first: Written, kind: str, name: str) -> Diagnostic:
    return Diagnostic(
        file=second.file,
        line=second.line,
        column=1,
        message=f"{kind}.{name} is written twice; the first is at {first.file}:{first.line}",
        allowed="keep one of them",
    )
