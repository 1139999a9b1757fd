"""Brings the resources of a workspace to what documents say, and back into documents."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from urllib.parse import quote

import msgspec

from headgate.cli.remote.client import Json, Master
from headgate.cli.remote.documents import FLEETS, Key, Labels, Spec, Written
from headgate.cli.remote.kinds import SECTIONS, path_of
from headgate.cli.remote.output import yaml


@dataclass(frozen=True, slots=True)
class Change:
    """A resource to write, or with `spec` None to remove; `version` is what it has now, 0: new.
    `fleets`: the labels of the fleets that it goes to; None leaves them as they are."""

    kind: str
    name: str
    spec: Spec | None
    version: int
    fleets: Labels | None = None

    @property
    def word(self) -> str:
        """The word for its change."""
        return "removed" if self.spec is None else "changed" if self.version else "added"

    def body(self) -> dict[str, object]:
        """Returns it as the API takes it."""
        return {"kind": self.kind, "name": self.name, **self.content()}

    def content(self) -> dict[str, object]:
        """Returns what is written at its path."""
        found: dict[str, object] = {"spec": self.spec}
        if self.fleets is not None:
            found[FLEETS] = self.fleets
        return found


def changes(
    wanted: Mapping[Key, Written],
    present: Iterable[Json],
    owner: str,
    made: Collection[str] = (),
    *,
    prune: bool,
) -> list[Change]:
    """Returns what must change, in order; nothing if all is as wanted.

    Only what `owner` wrote last is pruned: an object that somebody else made or edited stays, and
    so does one at a path in `made`, which virtual hosts make.
    """
    there = {(str(one["kind"]), str(one["name"])): one for one in present}
    found = [
        Change(kind, name, one.spec, _version(there.get((kind, name))), one.fleets)
        for (kind, name), one in wanted.items()
        if (kind, name) not in there or _differs(one, there[kind, name])
    ]
    if prune:
        found += [
            Change(kind, name, None, _version(one))
            for (kind, name), one in there.items()
            if (kind, name) not in wanted and one["changed_by"] == owner and one["path"] not in made
        ]
    return sorted(found, key=lambda one: (one.kind, one.name))


def present(master: Master) -> list[Json]:
    """Returns the resources of the workspace."""
    return list(master.all(path_of(SECTIONS[0], master)))


def preview(
    master: Master, found: Iterable[Change], more: Mapping[str, object] | None = None
) -> Json:
    """Returns what publishing the changes would do, what refuses it, and likely mistakes; `more`:
    further fields of the request."""
    body = {"changes": [one.body() for one in found], **(more or {})}
    return master.ask("POST", f"/workspaces/{master.workspace}/preview", body)


def carry_out(master: Master, found: Iterable[Change]) -> None:
    """Makes the changes, each against the version that was seen; raises MasterError."""
    for one in found:
        name = quote(one.name, safe="")
        path = f"{path_of(SECTIONS[0], master)}/{one.kind}/{name}"
        condition = {"if-match": f'"{one.version}"'} if one.version else {"if-none-match": "*"}
        if one.spec is None:
            master.ask("DELETE", path, headers=condition)
        else:
            master.ask("PUT", path, one.content(), headers=condition)


def write_out(resources: Iterable[Json], folder: Path) -> int:
    """Writes each resource as a document of its own; returns how many. Raises OSError.

    A document of that name is replaced; others in the folder stay.
    """
    count = 0
    for one in resources:
        kind, name = str(one["kind"]), str(one["name"])
        file = folder / kind / f"{quote(name, safe='')}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml({kind: {name: _written(one)}}), encoding="utf-8")
        count += 1
    return count


def _written(one: Json) -> Spec:
    """Returns an object as a document writes it."""
    labels = {FLEETS: one[FLEETS]} if one.get(FLEETS) else {}
    return labels | cast("Spec", one["spec"])


def _differs(wanted: Written, there: Json) -> bool:
    if wanted.fleets is not None and wanted.fleets != there[FLEETS]:
        return True
    return _canonical(wanted.spec) != _canonical(there["spec"])


def _version(one: Json | None) -> int:
    return 0 if one is None else cast("int", one["version"])


def _canonical(spec: object) -> bytes:
    return msgspec.json.encode(spec, order="deterministic")
