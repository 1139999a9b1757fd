"""Compares documents, or a workspace's resources, with what a master holds."""

import difflib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import msgspec

from headgate.cli.output import BAD_CONFIG, OK, as_json, complain, printable
from headgate.cli.remote import applying, templating
from headgate.cli.remote.client import Json, Master
from headgate.cli.remote.documents import FLEETS, Gathered, Key, Spec, gather
from headgate.cli.remote.errors import MasterError
from headgate.cli.remote.kinds import find, items, kind_named
from headgate.cli.remote.output import yaml
from headgate.kernel.diagnostics import render_text

_MARKS: Final = {"added": "+", "removed": "-", "changed": "~"}


@dataclass(frozen=True, slots=True)
class Asked:
    """The two sides to compare: documents (none: the workspace's resources) and a fleet's revision
    (no fleet: the workspace's resources). `node`: what one agent of the fleet gets of both.
    `set_name`: only the workspace's objects of one set are compared with documents."""

    files: list[Path]
    fleet: str
    revision: str
    node: str = ""
    set_name: str = ""


class Difference(msgspec.Struct, frozen=True):
    """One object that differs; `before` is what the master has."""

    change: str
    kind: str
    name: str
    keys: list[str]
    before: Spec | None
    after: Spec | None


def diff(master: Master, asked: Asked, output: str) -> int:
    """Writes what differs; returns the exit code. Raises MasterError."""
    if asked.files:
        try:
            gathered = gather(asked.files)
        except OSError as error:
            raise complain(
                f"{error.filename} cannot be read: {error.strerror}", BAD_CONFIG
            ) from error
        if gathered.wrong:
            sys.stderr.write(render_text(gathered.wrong))
            return BAD_CONFIG
        before, after = _documents(master, asked, gathered)
    elif asked.node:
        before, after = _of_node(master, asked)
    else:
        before, after = _revision(master, asked), _specs(applying.present(master))
    found = list(differences(before, after))
    if output == "json":
        sys.stdout.write(as_json({"objects": found}) + "\n")
    else:
        sys.stdout.writelines(f"{printable(line)}\n" for line in text(found))
    return OK


def differences(before: Mapping[Key, Spec], after: Mapping[Key, Spec]) -> Iterator[Difference]:
    """Yields the objects that differ, by kind and name."""
    for key in sorted({*before, *after}):
        old, new = before.get(key), after.get(key)
        if old is not None and new is not None and _canonical(old) == _canonical(new):
            continue
        change = "added" if old is None else "removed" if new is None else "changed"
        yield Difference(change, *key, _keys(old, new), old, new)


def text(found: list[Difference]) -> Iterator[str]:
    """Yields a line for each object, and below a changed one the lines of YAML that differ."""
    for one in found:
        keys = f": {', '.join(one.keys)}" if one.keys else ""
        yield f"{_MARKS[one.change]} {one.kind}/{one.name}{keys}"
        if one.before is not None and one.after is not None:
            lines = difflib.ndiff(yaml(one.before).splitlines(), yaml(one.after).splitlines())
            yield from (f"    {line}" for line in lines if line[:1] in {"+", "-"})
    if not found:
        yield "no object differs"


def _documents(
    master: Master, asked: Asked, gathered: Gathered
) -> tuple[dict[Key, Spec], dict[Key, Spec]]:
    """Returns what the master has, and what documents say."""
    after = {key: one.spec for key, one in gathered.resources.items()}
    if asked.fleet:
        if gathered.templates or gathered.virtual_hosts:
            raise MasterError(
                "a revision has no templates; compare documents that have some without --fleet, or"
                " see what they make with `headgate apply --preview`"
            )
        return _revision(master, asked), after
    both = templating.templated(master, gathered)
    own, wanted = templating.objects(both, asked.set_name)
    there = applying.present(master, asked.set_name)
    present = [one for one in there if one["path"] not in both.objects]
    before = _specs(present)
    said = {key: one.fleets for key, one in gathered.resources.items() if one.fleets is not None}
    for one in present:
        key = _key(one)
        if key in said:
            before[key] = before[key] | {FLEETS: one[FLEETS]}
    after |= {key: after[key] | {FLEETS: labels} for key, labels in said.items()}
    return before | own, after | wanted


def _of_node(master: Master, asked: Asked) -> tuple[dict[Key, Spec], dict[Key, Spec]]:
    """Returns what an agent got of a revision, and what it would get of the resources now."""
    fleet = find(kind_named("fleet"), asked.fleet, master)
    agent = find(kind_named("agent"), asked.node, master, str(fleet["id"]))
    after = master.get(f"/workspaces/{master.workspace}/agents/{agent['id']}/config")
    before = _revision(master, asked, str(agent["id"]))
    return before, _specs(cast("list[Json]", after["resources"]))


def _revision(master: Master, asked: Asked, agent: str = "") -> dict[Key, Spec]:
    fleet = find(kind_named("fleet"), asked.fleet, master)
    number = _number(master, fleet, asked.revision)
    one = find(kind_named("revision"), number, master, str(fleet["id"]))
    query = {"agent": agent} if agent else {}
    path = f"/workspaces/{master.workspace}/revisions/{one['id']}/config"
    held = master.get(path, **query)
    return _specs(cast("list[Json]", held["resources"]))


def _number(master: Master, fleet: Json, revision: str) -> str:
    if revision == "newest":
        newest = next(items(kind_named("revision"), master, str(fleet["id"])), None)
        if newest is None:
            raise MasterError(f"nothing was published to fleet {fleet['name']} yet")
        return str(newest["number"])
    if revision != "served":
        return revision
    if fleet["revision"] is None:
        raise MasterError(
            f"fleet {fleet['name']} serves no revision yet; compare with --revision newest"
        )
    return str(fleet["revision"])


def _specs(resources: list[Json]) -> dict[Key, Spec]:
    return {_key(one): cast("Spec", one["spec"]) for one in resources}


def _key(one: Json) -> Key:
    return str(one["kind"]), str(one["name"])


def _keys(old: Spec | None, new: Spec | None) -> list[str]:
    if old is None or new is None:
        return []
    return sorted(key for key in {*old, *new} if old.get(key) != new.get(key))


def _canonical(spec: Spec) -> bytes:
    return msgspec.json.encode(spec, order="deterministic")
