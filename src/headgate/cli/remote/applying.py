"""Brings the resources of a workspace to what documents say, and back into documents."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, cast
from urllib.parse import quote

import msgspec

from headgate.cli.remote.client import Json, Master, only, tag_of
from headgate.cli.remote.documents import FLEETS, Key, Labels, Spec, Written
from headgate.cli.remote.errors import MasterError
from headgate.cli.remote.output import yaml
from headgate.master.domains.resources.set_names import DEFAULT_SET

_LONGEST: Final = 250
"""Names of files have up to 255 bytes, with their suffix."""
_DIGEST: Final = 16


@dataclass(frozen=True, slots=True)
class Owner:
    """The person or token that applies, by its id, the set that the documents are of, and whether
    objects of other sets are taken over."""

    person: str
    set: str = DEFAULT_SET
    take_over: bool = False

    def named(self) -> dict[str, str]:
        """Returns what a removal says of its set; nothing of the default one, which masters of
        older versions do not know."""
        return {} if self.set == DEFAULT_SET else {"set": self.set}

    def query(self) -> dict[str, str]:
        """Returns what a write says of its set."""
        return self.named() | ({"take_over": "true"} if self.take_over else {})

    def body(self) -> dict[str, object]:
        """Returns the same for a body."""
        return {**self.named(), **({"take_over": True} if self.take_over else {})}

    def has(self, one: Json) -> bool:
        """Says whether an object belongs to the set."""
        return set_of(one) == self.set

    def may_prune(self, one: Json) -> bool:
        """Says whether it removes an object that the documents lack: one of its set, and of the
        default set only what the person wrote last."""
        return self.has(one) and (self.set != DEFAULT_SET or one["changed_by"] == self.person)

    def require(self, wanted: Iterable[Key], there: Mapping[Key, Json]) -> None:
        """Raises MasterError if objects of the documents belong to other sets, and are not taken
        over."""
        others = {key: there[key] for key in wanted if key in there and not self.has(there[key])}
        if self.take_over or not others:
            return
        lines = [
            f'{kind}/{name} belongs to the set "{set_of(one)}"'
            for (kind, name), one in sorted(others.items())
        ]
        raise MasterError(
            f'objects of the documents do not belong to the set "{self.set}"; apply them with the'
            " --set that they belong to, or take them over with --take-over\n  "
            + "\n  ".join(lines)
        )


def set_of(one: Json) -> str:
    """Returns the set that an object belongs to."""
    return str(one.get("set", DEFAULT_SET))


@dataclass(frozen=True, slots=True)
class Change:
    """A resource to write, or with `spec` None to remove; `tag` is what was seen of it, "": new.
    `fleets`: the labels of the fleets that it goes to; None leaves them as they are. `is_taken`: it
    belongs to another set now."""

    kind: str
    name: str
    spec: Spec | None
    tag: str
    fleets: Labels | None = None
    is_taken: bool = False

    @property
    def word(self) -> str:
        """The word for its change."""
        if self.is_taken:
            return "taken"
        return "removed" if self.spec is None else "changed" if self.tag else "added"

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
    owner: Owner,
    made: Collection[str] = (),
    *,
    prune: bool,
) -> list[Change]:
    """Returns what must change, in order; nothing if all is as wanted.

    Only what `owner` may prune goes; an object at a path in `made`, which virtual hosts make,
    stays.
    """
    there = {(str(one["kind"]), str(one["name"])): one for one in present}
    found = [
        _change(key, one, there.get(key), owner)
        for key, one in wanted.items()
        if key not in there or not owner.has(there[key]) or _differs(one, there[key])
    ]
    if prune:
        found += [
            Change(kind, name, None, tag_of(one))
            for (kind, name), one in there.items()
            if (kind, name) not in wanted and owner.may_prune(one) and one["path"] not in made
        ]
    return sorted(found, key=lambda one: (one.kind, one.name))


def _change(key: Key, one: Written, there: Json | None, owner: Owner) -> Change:
    is_taken = there is not None and not owner.has(there)
    return Change(
        *key, one.spec, "" if there is None else tag_of(there), one.fleets, is_taken=is_taken
    )


def present(master: Master, set_name: str = "") -> list[Json]:
    """Returns the resources of the workspace, or of one set."""
    query = {"set": set_name} if set_name else {}
    return list(master.all(_path(master), **query))


def preview(
    master: Master, found: Iterable[Change], owner: Owner, more: Mapping[str, object]
) -> Json:
    """Returns what publishing the changes would do, what refuses it, and likely mistakes; `more`:
    further fields of the request."""
    own = owner.body()
    body = {"changes": [one.body() | own for one in found], **more, **own}
    return master.ask("POST", f"/workspaces/{master.workspace}/preview", body)


def carry_out(master: Master, found: Iterable[Change], owner: Owner) -> None:
    """Makes the changes, each against the version that was seen; raises MasterError."""
    for one in found:
        name = quote(one.name, safe="")
        path = f"{_path(master)}/{one.kind}/{name}"
        condition = only(one.tag) if one.tag else {"if-none-match": "*"}
        if one.spec is None:
            master.ask("DELETE", path, query=owner.named(), headers=condition)
        else:
            master.ask("PUT", path, one.content(), owner.query(), condition)


def _path(master: Master) -> str:
    return f"/workspaces/{master.workspace}/resources"


def write_out(resources: Iterable[Json], folder: Path) -> int:
    """Writes each resource as a document of its own; returns how many. Raises OSError.

    A document of that name is replaced; others in the folder stay.
    """
    count = 0
    for one in resources:
        kind, name = str(one["kind"]), str(one["name"])
        file = folder / kind / f"{_file_name(name)}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml({kind: {name: _written(one)}}), encoding="utf-8")
        count += 1
    return count


def _file_name(name: str) -> str:
    """Returns an object's name as one of a file, without its suffix: one that is not hidden, which
    nobody would read, and that is not too long for a file system.

    >>> _file_name(".well-known"), _file_name("a/b")
    ('%2Ewell-known', 'a%2Fb')
    """
    quoted = quote(name, safe="")
    if quoted.startswith("."):
        quoted = f"%2E{quoted[1:]}"
    if len(quoted) <= _LONGEST:
        return quoted
    digest = sha256(name.encode()).hexdigest()[:_DIGEST]
    return f"{quoted[: _LONGEST - _DIGEST - 1]}-{digest}"


def _written(one: Json) -> Spec:
    """Returns an object as a document writes it."""
    labels = {FLEETS: one[FLEETS]} if one.get(FLEETS) else {}
    return labels | cast("Spec", one["spec"])


def _differs(wanted: Written, there: Json) -> bool:
    if wanted.fleets is not None and wanted.fleets != there[FLEETS]:
        return True
    return _canonical(wanted.spec) != _canonical(there["spec"])


def _canonical(spec: object) -> bytes:
    return msgspec.json.encode(spec, order="deterministic")
