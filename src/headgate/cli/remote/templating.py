"""Brings the templates and virtual hosts of a workspace to what documents say, and back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, cast
from urllib.parse import quote

import msgspec
from pydantic import BaseModel, ValidationError

from headgate.cli.remote.applying import Change, Owner, changes, present, preview, set_of
from headgate.cli.remote.client import Json, Master, only, tag_of
from headgate.cli.remote.documents import TEMPLATES, VIRTUAL_HOSTS, Gathered, Key, Spec
from headgate.cli.remote.errors import MasterError
from headgate.cli.remote.kinds import items, kind_named

_FIELDS: Final = {
    TEMPLATES: ("parameters", "objects"),
    VIRTUAL_HOSTS: ("template", "values", "fleets", "nodes"),
}


@dataclass(frozen=True, slots=True)
class Templated:
    """The templates and virtual hosts that the documents have and the master has."""

    wanted: Mapping[Key, Spec]
    present: Mapping[Key, Json]

    @property
    def objects(self) -> frozenset[str]:
        """The paths of the resources that the virtual hosts of the master make."""
        made = (one["objects"] for key, one in self.present.items() if key[0] == VIRTUAL_HOSTS)
        return frozenset(path for paths in made for path in cast("list[str]", paths))


@dataclass(slots=True)
class Steps:
    """The changes to write: templates first, then virtual hosts; None removes."""

    changes: list[Change] = field(default_factory=list)
    again: list[str] = field(default_factory=list)
    """Virtual hosts that are as the documents say, and whose template changes."""
    moved: list[Change] = field(default_factory=list)
    """Templates that stand elsewhere in the documents, and are the same."""

    def of(self, kind: str) -> list[Change]:
        """Returns the changes of a kind."""
        return [one for one in self.changes if one.kind == kind]


@dataclass(frozen=True, slots=True)
class Plan:
    """All that documents change: of templates and virtual hosts, and of resources; `said` is what
    a preview says of it, empty if nothing changes."""

    owner: Owner
    both: Templated
    steps: Steps
    resources: list[Change]
    said: Json

    @property
    def changes(self) -> list[Change]:
        """Every change, templates first."""
        return [*self.steps.changes, *self.resources]


def planned(
    master: Master, gathered: Gathered, owner: Owner, *, prune: bool, seen: str | None = None
) -> Plan:
    """Returns what documents change, and its preview; raises MasterError, also for objects of other
    sets. `seen`: the fleet whose nodes are asked for the requests that they had lately."""
    there = present(master)
    both = templated(master, gathered)
    known = {(str(one["kind"]), str(one["name"])): one for one in there} | dict(both.present)
    owner.require([*gathered.resources, *both.wanted], known)
    owned = frozenset(str(one["path"]) for one in there if owner.may_prune(one))
    found = steps(both, owner, owned, prune=prune)
    resources = changes(gathered.resources, there, owner, both.objects, prune=prune)
    more = previewed(both, found)
    asked = more if seen is None else more | {"seen": seen}
    said = preview(master, resources, owner, asked) if resources or any(more.values()) else {}
    return Plan(owner, both, found, resources, said)


def templated(master: Master, gathered: Gathered) -> Templated:
    """Returns both sides; raises MasterError for what is no template or virtual host."""
    wanted: dict[Key, Spec] = {}
    wanted |= {(TEMPLATES, name): one for name, one in gathered.templates.items()}
    wanted |= {(VIRTUAL_HOSTS, name): one for name, one in gathered.virtual_hosts.items()}
    return Templated({key: _whole(key, one) for key, one in wanted.items()}, _present(master))


def _present(master: Master) -> dict[Key, Json]:
    found: dict[Key, Json] = {}
    for kind, name in ((TEMPLATES, "templates"), (VIRTUAL_HOSTS, "virtual-hosts")):
        found |= {(kind, str(one["name"])): one for one in items(kind_named(name), master)}
    return found


def steps(both: Templated, owner: Owner, owned: frozenset[str], *, prune: bool) -> Steps:
    """Returns what must be written. `owned`: the paths of resources that may be pruned; a virtual
    host of the set goes with `prune` if all that it makes are among them. Templates stay."""
    found = Steps()
    for key, spec in both.wanted.items():
        there = both.present.get(key)
        is_taken = there is not None and not owner.has(there)
        change = Change(*key, spec, "" if there is None else tag_of(there), is_taken=is_taken)
        is_same = there is not None and _canonical(_said(spec)) == _canonical(
            specified(key[0], there)
        )
        if there is None or is_taken or not is_same:
            found.changes.append(change)
        elif key[0] == TEMPLATES and spec["source"] != there["source"]:
            found.moved.append(change)
    if prune:
        found.changes += [
            Change(*key, None, tag_of(one))
            for key, one in both.present.items()
            if key[0] == VIRTUAL_HOSTS
            and key not in both.wanted
            and owner.has(one)
            and owned.issuperset(cast("list[str]", one["objects"]))
        ]
    changed = {one.name for one in found.of(TEMPLATES)}
    written = {one.name for one in found.of(VIRTUAL_HOSTS)}
    found.again = [
        name
        for (kind, name), spec in both.wanted.items()
        if kind == VIRTUAL_HOSTS and spec["template"] in changed and name not in written
    ]
    found.changes.sort(key=lambda one: (one.kind, one.name))
    return found


def previewed(both: Templated, found: Steps) -> dict[str, object]:
    """Returns what the preview of these steps is asked for, beside the resources."""
    hosts: dict[str, object] = {one.name: one.spec for one in found.of(VIRTUAL_HOSTS)}
    hosts |= {name: both.wanted[VIRTUAL_HOSTS, name] for name in found.again}
    return {
        "templates": {one.name: one.spec for one in found.of(TEMPLATES)},
        "virtual_hosts": hosts,
    }


def carry_out(master: Master, both: Templated, found: Steps, owner: Owner) -> list[str]:
    """Writes them; returns the names of drafts that hold what other virtual hosts of a changed
    template become. Raises MasterError."""
    drafts: list[str] = []
    own = owner.query()
    changed = {one.name for one in found.of(TEMPLATES)}
    for one in [*found.of(TEMPLATES), *found.moved]:
        answer = master.ask(
            "PUT", _path(master, TEMPLATES, one.name), one.spec, own, _condition(one)
        )
        if answer["draft"]:
            drafts.append(str(answer["draft"]))
    for one in found.of(VIRTUAL_HOSTS):
        method = "DELETE" if one.spec is None else "PUT"
        there = both.present.get((VIRTUAL_HOSTS, one.name))
        is_newer = there is not None and there["template"] in changed
        headers = _now(master, there) if there and is_newer else _condition(one)
        query = owner.named() if one.spec is None else own
        master.ask(method, _path(master, VIRTUAL_HOSTS, one.name), one.spec, query, headers)
    for name in found.again:
        key = VIRTUAL_HOSTS, name
        headers = _now(master, both.present[key])
        master.ask("PUT", _path(master, *key), both.wanted[key], own, headers)
    return [draft for draft in drafts if _is_there(master, draft)]


def _is_there(master: Master, draft: str) -> bool:
    """Says whether a draft still is there: virtual hosts that were written are not in it any more,
    and without others it is gone."""
    try:
        master.ask("GET", f"/workspaces/{master.workspace}/drafts/{draft}")
    except MasterError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        return False
    return True


def specified(kind: str, one: Json) -> Spec:
    """Returns what of a template or a virtual host somebody wrote."""
    return {key: one[key] for key in _FIELDS[kind]}


def objects(both: Templated, set_name: str = "") -> tuple[dict[Key, Spec], dict[Key, Spec]]:
    """Returns the templates and virtual hosts of the master, or of one set, and those of the
    documents, as what is written."""
    before = {
        key: specified(key[0], one)
        for key, one in both.present.items()
        if set_name in {"", set_of(one)}
    }
    return before, {key: _said(one) for key, one in both.wanted.items()}


def exported(master: Master, set_name: str = "") -> list[Json]:
    """Returns the templates and virtual hosts of the workspace or of one set, and the resources
    that virtual hosts do not make, each with `kind`, `name` and `spec`."""
    both = Templated({}, _present(master))
    special = [
        {"kind": kind, "name": name, "spec": one}
        for (kind, name), one in objects(both, set_name)[0].items()
    ]
    rest = (one for one in present(master, set_name) if one["path"] not in both.objects)
    return [*special, *rest]


def _said(spec: Spec) -> Spec:
    return {key: one for key, one in spec.items() if key != "source"}


def _whole(key: Key, spec: Spec) -> Spec:
    """Returns it with its defaults; raises MasterError for one that is none."""
    # Most documents have no template, and this takes the master's web framework and database along.
    from headgate.master.domains.templates.types import NewTemplate, NewVirtualHost

    model: type[BaseModel] = NewTemplate if key[0] == TEMPLATES else NewVirtualHost
    try:
        return model.model_validate(spec).model_dump(mode="json")
    except ValidationError as wrong:
        said = "; ".join(
            f"{'.'.join((*key, *map(str, one['loc'])))}: {one['msg']}" for one in wrong.errors()
        )
        raise MasterError(said) from None


def _path(master: Master, kind: str, name: str) -> str:
    return f"/workspaces/{master.workspace}/{kind.replace('_', '-')}/{quote(name, safe='')}"


def _now(master: Master, seen: Json) -> dict[str, str]:
    """Returns the headers of a change of a virtual host that its changed template may have given a
    newer version; raises MasterError if somebody else changed it."""
    now = master.ask("GET", _path(master, VIRTUAL_HOSTS, str(seen["name"])))
    before, after = (_canonical(specified(VIRTUAL_HOSTS, one)) for one in (seen, now))
    if now["id"] != seen["id"] or before != after:
        raise MasterError(f"virtual_hosts/{seen['name']} changed meanwhile; apply again")
    return only(tag_of(now))


def _condition(one: Change) -> dict[str, str]:
    return only(one.tag) if one.tag else {"if-none-match": "*"}


def _canonical(spec: object) -> bytes:
    return msgspec.json.encode(spec, order="deterministic")
