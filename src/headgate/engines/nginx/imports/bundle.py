"""Reads and writes an import on disk: `headgate.toml`, `verbatim/` and `import.json`.

`headgate.toml` is a config like any other; `verbatim/` holds the kept text of each file at its own
path, with `headgate_…` lines in place of what became model; `import.json` records what became of
every directive of the original. The three together are the whole original.
"""

import tomllib
from collections.abc import Mapping
from typing import Final

import msgspec

from headgate.engines.nginx.imports import accesslogs
from headgate.engines.nginx.imports.imported import Fate, Imported, Note
from headgate.engines.nginx.imports.objects import (
    ModelObject,
    is_refusal,
    quoted,
    table_in,
    to_toml,
)

MODEL: Final = "headgate.toml"
VERBATIM: Final = "verbatim"
MAP: Final = "import.json"
_NODE: Final = """\
[node.nginx]
imported = {folder}

"""

REASON: Final = "not-imported"
"""The reason, in answers, logs and metrics, for what was not imported."""


class Map(msgspec.Struct, frozen=True):
    """The contents of `import.json`; `files` are the original paths by their place in `verbatim`,
    `objects` the model as it was imported, as TOML. `secrets` are the files of the bundle that a
    master sent in place of files of the imported host, by their path there."""

    entry: str
    files: dict[str, str]
    directives: tuple[Fate, ...]
    notes: tuple[Note, ...]
    originals: dict[str, str]
    objects: str
    secrets: dict[str, str] | msgspec.UnsetType = msgspec.UNSET


class BrokenBundleError(ValueError):
    """A bundle's files do not belong together; says which."""


def to_files(one: Imported, folder: str = "") -> dict[str, bytes]:
    """Returns the bundle's files by their path in it;
    `folder` is its future absolute path, where the nginx engine finds the kept text.
    """
    files = {f"{VERBATIM}/{number:04d}-{stem_of(path)}": path for number, path in _numbered(one)}
    objects = to_toml(one.objects)
    mapped = Map(one.entry, files, one.fates, one.notes, dict(one.originals), objects)
    node = _NODE.format(folder=quoted(folder)) if folder else ""
    return {
        MODEL: (head(one) + node + objects).encode(),
        **{place: one.verbatim[path] for place, path in files.items()},
        MAP: msgspec.json.format(msgspec.json.encode(mapped), indent=1) + b"\n",
    }


def head(one: Imported) -> str:
    """Returns what `headgate.toml` says of itself at its beginning."""
    refused = sum(map(is_refusal, one.objects))
    lines = [
        f"Imported from {one.entry}: {one.modelled} of {len(one.fates)} directives are model.",
    ]
    if refused:
        lines += [
            f"NOT IMPORTED: {refused} routes stand for places without counterpart. Requests",
            f"to them get 503 with the reason `{REASON}`; each route says which place and why.",
        ]
    lines.append(f"The text of everything that is no model is in {VERBATIM}/.")
    return "".join(f"# {line}\n" for line in lines) + "\n"


def from_files(files: Mapping[str, bytes]) -> Imported:
    """Returns the import of a bundle's files; raises `BrokenBundleError`."""
    try:
        mapped = msgspec.json.decode(files[MAP], type=Map)
        sections = tomllib.loads(files[MODEL].decode())
        verbatim = {path: files[place] for place, path in mapped.files.items()}
    except KeyError as error:
        raise BrokenBundleError(f"{error} is missing") from None
    except (msgspec.DecodeError, ValueError) as error:
        raise BrokenBundleError(str(error)) from None
    objects = tuple(
        ModelObject(section, name, table_in(table, name))
        for section, table in sections.items()
        for name in table
        if section != "node" or (name == accesslogs.KEY and isinstance(table[name], Mapping))
    )
    return Imported(
        mapped.entry, objects, verbatim, mapped.directives, mapped.notes, mapped.originals
    )


def as_imported(files: Mapping[str, bytes]) -> str:
    """Returns the model as it was imported, as TOML; raises `BrokenBundleError`."""
    try:
        return msgspec.json.decode(files[MAP], type=Map).objects
    except (KeyError, ValueError) as error:
        raise BrokenBundleError(str(error)) from None


def secrets_of(files: Mapping[str, bytes]) -> dict[str, str] | None:
    """Returns the files of the bundle that stand for files of the imported host, by their path
    there; None for an import that no master sent. Raises `BrokenBundleError`."""
    try:
        found = msgspec.json.decode(files[MAP], type=Map).secrets
    except (KeyError, ValueError) as error:
        raise BrokenBundleError(str(error)) from None
    return None if isinstance(found, msgspec.UnsetType) else found


def _numbered(one: Imported) -> list[tuple[int, str]]:
    return list(enumerate(one.verbatim, start=1))


def stem_of(path: str) -> str:
    """Returns the last part of a path, by which people know the file in `verbatim`."""
    return path.rpartition("/")[2]
