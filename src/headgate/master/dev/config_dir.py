"""A directory of config as a revision's files. For `headgate dev`: plain TOML and JSON, no
references to other files."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path

from headgate.fleet.manifest import resource_bytes, resource_path
from headgate.kernel.errors import Invalid
from headgate.model.config import SECTIONS

_LOADS = {".toml": tomllib.loads, ".json": json.loads}


def files_of(folder: Path) -> dict[str, bytes]:
    """Returns the resources of all documents below `folder` by their paths in a manifest. Raises
    Invalid, naming the file, and OSError."""
    files: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*")):
        load = _LOADS.get(path.suffix)
        if load is None or not path.is_file():
            continue
        try:
            document = load(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise Invalid(f"{path}: {error}", "write TOML or JSON") from None
        if not isinstance(document, Mapping):
            raise Invalid(f"{path} is no document", "write sections")
        for place, body in _resources(path, document):
            if place in files:
                raise Invalid(f"{path}: {place} is there twice", "remove one")
            files[place] = body
    return files


def _resources(path: Path, document: Mapping[str, object]) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for kind, entries in document.items():
        if kind not in SECTIONS:
            allowed = ", ".join(sorted(SECTIONS))
            raise Invalid(f"{path}: `{kind}` is no kind of resource", f"write one of: {allowed}")
        if not isinstance(entries, Mapping):
            raise Invalid(f"{path}: `{kind}` is no table", f"write [{kind}.NAME]")
        for name, spec in entries.items():
            found.append((resource_path(kind, str(name)), resource_bytes(spec)))
    return found
