"""Reads a directory of config documents as the resources of a workspace, and its templates."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, cast

from headgate._core import Document
from headgate.cli.remote import imported
from headgate.engines.nginx.imports.bundle import BrokenBundleError
from headgate.engines.nginx.imports.published import CannotTravelError
from headgate.kernel.diagnostics import Diagnostic
from headgate.model.text import SUFFIXES, position, read_document

Key = tuple[str, str]
Spec = dict[str, object]
Labels = dict[str, str]
FLEETS: Final = "fleets"
"""The key, beside those of an object's spec, of the labels that choose its fleets."""
TEMPLATES: Final = "templates"
VIRTUAL_HOSTS: Final = "virtual_hosts"

_PARAMETER: Final = re.compile(r"\{\{\s*([a-z][a-z0-9_]{0,62})\s*\}\}")

_SPECIAL: Final = frozenset({TEMPLATES, VIRTUAL_HOSTS})

_REFUSED: Final = {
    "node": "a node's own settings stay on the node: give them to `headgate agent`",
    "include": "name the directory with -f; every document in it is read",
}


@dataclass(frozen=True, slots=True)
class Written:
    """A resource as a document writes it. `fleets`: the labels of the fleets that it goes to; None
    if the document leaves them as they are."""

    spec: Spec
    file: str
    line: int
    fleets: Labels | None = None


@dataclass(frozen=True, slots=True)
class Gathered:
    """The resources of documents by (kind, name), the templates and the virtual hosts by name, and
    what is wrong with the documents. `secrets`: the names of the secret files that stand for files
    of this host, by their path; imports of nginx configs have some."""

    resources: dict[Key, Written]
    wrong: tuple[Diagnostic, ...]
    templates: dict[str, Spec]
    virtual_hosts: dict[str, Spec]
    secrets: dict[str, str] = field(default_factory=dict)


def gather(paths: Sequence[Path]) -> Gathered:
    """Returns the resources of the documents at the paths; in directories all that have a suffix
    of a format. The folder of an imported nginx config is one document, with its kept text as a
    resource. Raises OSError."""
    found_in: dict[Key, Written] = {}
    wrong: list[Diagnostic] = []
    secrets: dict[str, str] = {}
    for path in _documents(paths):
        for key, found in _entries(path, secrets):
            if isinstance(found, Diagnostic):
                wrong.append(found)
            elif key in found_in:
                wrong.append(_twice(found, found_in[key], *key))
            else:
                found_in[key] = found
    return Gathered(
        {key: one for key, one in found_in.items() if key[0] not in _SPECIAL},
        tuple(wrong),
        {name: one.spec for (kind, name), one in found_in.items() if kind == TEMPLATES},
        {name: one.spec for (kind, name), one in found_in.items() if kind == VIRTUAL_HOSTS},
        secrets,
    )


def _entries(path: Path, secrets: dict[str, str]) -> Iterator[tuple[Key, Written | Diagnostic]]:
    """Yields the entries of a document, and what is wrong with it; adds to `secrets`."""
    document = read_document(str(path), path.read_bytes())
    if isinstance(document, Diagnostic):
        yield ("", ""), document
        return
    folder = imported.folder_of(path)
    if folder is not None:
        yield from _of_import(document, folder, secrets)
        return
    for kind, name, _ in document.entries():
        yield (kind, name), _entry(document, kind, name)


def _of_import(
    document: Document, folder: Path, secrets: dict[str, str]
) -> Iterator[tuple[Key, Written | Diagnostic]]:
    """Yields the entries of an import's model, and the object with the kept text if the model says
    that it runs; the document may say which fleets that object goes to."""
    try:
        one = imported.read(folder)
    except BrokenBundleError as error:
        yield ("", ""), imported.wrong(folder, error)
        return
    secrets.update(one.secrets)
    said = _entry(document, *one.key) if document.defines(*one.key) else None
    chosen = said if isinstance(said, Written) and not said.spec else None
    for kind, name, _ in document.entries():
        if (kind, name) == one.key and chosen is not None:
            continue
        if kind != "node":
            found = _entry(document, kind, name)
            if isinstance(found, Written):
                found = replace(found, spec=one.with_secrets(found.spec))
            yield (kind, name), found
        elif (unpublished := imported.unpublished(document, name)) is not None:
            yield (kind, name), unpublished
        else:
            line, _ = position(document, (kind, name), "key")
            try:
                labels = None if chosen is None else chosen.fleets
                yield one.key, Written(one.spec(), document.name, line, labels)
            except (CannotTravelError, BrokenBundleError) as error:
                yield one.key, imported.wrong(folder, error)


def _documents(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        inside = (one for one in path.rglob("*") if one.suffix.lower() in SUFFIXES)
        own = (one for one in inside if not imported.is_part(one, path))
        shown = (one for one in own if not _is_hidden(one.relative_to(path)))
        yield from sorted(one for one in shown if one.is_file())


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _entry(document: Document, kind: str, name: str) -> Written | Diagnostic:
    path = (kind, name) if name else (kind,)
    line, column = position(document, path, "key")
    spec = document.entry(kind, name)
    if kind in _REFUSED or not name or not isinstance(spec, dict):
        allowed = _REFUSED.get(kind, "write a table of named objects")
        message = f"`{kind}` is not a resource of a workspace"
        return Diagnostic(
            file=document.name, line=line, column=column, message=message, allowed=allowed
        )
    written = cast("Spec", spec)
    if kind == TEMPLATES:
        lines = _lines(document, (kind, name, "objects"), written.get("objects"))
        source = {"file": Path(document.name).name, "lines": dict(reversed(list(lines)))}
        written = written | {"source": source}
    if kind in _SPECIAL or FLEETS not in written:
        return Written(written, document.name, line)
    return _selected(document, (kind, name), written, line)


def _selected(document: Document, key: Key, written: Spec, line: int) -> Written | Diagnostic:
    """Returns a resource that says which fleets it goes to."""
    labels = written[FLEETS]
    if isinstance(labels, dict) and all(isinstance(one, str) for one in labels.values()):
        spec = {name: one for name, one in written.items() if name != FLEETS}
        return Written(spec, document.name, line, cast("Labels", labels))
    line, column = position(document, (*key, FLEETS), "key")
    return Diagnostic(
        file=document.name,
        line=line,
        column=column,
        message=f"`{'.'.join((*key, FLEETS))}` is not a table of labels",
        allowed='write `fleets = { NAME = "VALUE" }`, or `{}` for every fleet',
    )


def _lines(
    document: Document, path: tuple[str | int, ...], node: object
) -> Iterator[tuple[str, int]]:
    """Yields the parameters that the objects of a template name, with the line of each place."""
    if isinstance(node, str):
        line, _ = position(document, path, "value")
        yield from ((name, line) for name in _PARAMETER.findall(node))
    inside: Iterable[tuple[str | int, object]] = ()
    if isinstance(node, dict):
        inside = node.items()
    elif isinstance(node, list):
        inside = enumerate(node)
    for key, one in inside:
        yield from _lines(document, (*path, key), one)


def _twice(second: Written, first: Written, kind: str, name: str) -> Diagnostic:
    return Diagnostic(
        file=second.file,
        line=second.line,
        column=1,
        message=f"{kind}.{name} is written twice; the first is at {first.file}:{first.line}",
        allowed="keep one of them",
    )
