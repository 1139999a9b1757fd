"""Compiles `[node]` from all documents."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import cast

from pydantic import ValidationError

from headgate.compile import instances
from headgate.compile.reads import Reads
from headgate.compile.settings import NodeSettings, node_settings, settings
from headgate.compile.sources import EntryKey, Sources
from headgate.compile.toplevel import stray
from headgate.compile.written import has_default_admin, node_addresses
from headgate.features.values import named_file
from headgate.kernel.diagnostics import ConfigPath
from headgate.kernel.ids import BlobId
from headgate.model.files import Files
from headgate.model.hidden import hidden_texts
from headgate.model.node import Node
from headgate.model.nulls import nulls
from headgate.model.problems import Problem, besides, problems
from headgate.model.references import resolved
from headgate.plan.kinds import SETTINGS_NAME
from headgate.plan.plan import PlanEntry, entry

BASE: ConfigPath = ("node",)
_TOKEN: EntryKey = ("node", "admin_token")
_TRACING: EntryKey = ("node", "tracing")
_LIMITS: EntryKey = ("node", "limit_store")
_LOG: EntryKey = ("node", "access_log")
"""Four settings of which parts may be in files of their own, which lie beside their documents."""


@dataclass(frozen=True, slots=True)
class NodeUnit:
    """The result of `[node]`; `plan` and `settings` are None if it has an error."""

    plan: PlanEntry | None
    settings: NodeSettings | None
    problems: tuple[Problem, ...] = ()
    seen: tuple[PurePath, ...] = ()
    """The files that it refers to."""
    addresses: Mapping[str, str] = field(default_factory=dict)
    """Its valid addresses, by the key that sets each; also of a node with a mistake."""
    has_default_admin: bool = False
    secrets: frozenset[str] = frozenset()
    """Texts of its plan that nothing may show."""
    blobs: Mapping[BlobId, bytes] = field(default_factory=dict)
    """The content of what its TLS needs."""


def node_unit(
    sources: Sources, files: Files, env: Mapping[str, str], instance: str = ""
) -> NodeUnit:
    """Validates and compiles the node's settings; without any, every default holds.

    `instance`: the one of its instances that this is about; empty for the node with all of them.
    """
    value: dict[str, object] = {}
    found: list[Problem] = []
    keys = sources.entries_of("node")
    for key in keys:
        found += _read(key, sources, env, value)
    reads = Reads(files, _directory(sources, value))
    for path in (_TRACING, _LIMITS, (*_LOG, "otlp")):
        for text in hidden_texts(_at(value, path[1:]), path[:2]):
            reads.hide(text)
    written = value.pop(instances.KEY, None)
    if written is None and not instance:
        plan, kept, wrong = _compiled(value, found, reads)
    else:
        plan, kept, wrong = _several(value, written, found, reads, instance)
    is_single = written is None
    return NodeUnit(
        plan,
        kept,
        wrong,
        tuple(reads.seen),
        node_addresses(value) if is_single else {},
        is_single and has_default_admin(value) and not (found and ("node", "") in keys),
        frozenset(reads.secrets),
        reads.blobs,
    )


def _several(
    base: Mapping[str, object], written: object, before: list[Problem], reads: Reads, instance: str
) -> instances.Compiled:
    """Returns one instance of a node, or, without its name, the node with all of them."""
    every = instances.compiled(
        base, {} if written is None else written, lambda value: _compiled(value, before, reads)
    )
    if isinstance(every, Problem):
        return None, None, (*before, instances.missing(instance) if instance else every)
    if instance:
        for one in every:
            if one.name == instance:
                return one.plan, one.settings, one.problems
        return None, None, (*before, instances.missing(instance))
    if wrong := tuple(dict.fromkeys(problem for one in every for problem in one.problems)):
        return None, None, wrong
    plan, kept, _ = _compiled(base, before, reads)  # it need not be a whole node by itself
    plan, kept = (plan, kept) if kept is not None else (every[0].plan, every[0].settings)
    if kept is not None:
        found = {one.name: one.settings for one in every if one.settings is not None}
        kept = replace(kept, instances=found)
    return plan, kept, ()


def _at(value: object, keys: tuple[str, ...]) -> object:
    """Returns what a table has at these keys; None if it has nothing there."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _directory(sources: Sources, value: dict[str, object]) -> PurePath:
    """Returns where files of settings lie; completes the paths of those that lie elsewhere."""
    found = {
        key: owner for key in (_TOKEN, _TRACING, _LIMITS, _LOG) if (owner := sources.owner(key))
    }
    if not found:
        return PurePath()
    directory = next(iter(found.values())).directory
    for key, owner in found.items():
        if owner.directory != directory:
            value[key[1]] = _beside(value.get(key[1]), owner.directory)
    return directory


def _beside(value: object, directory: PurePath) -> object:
    """Returns a setting with the paths of its files below a directory."""
    if (file := named_file(value)) is not None:
        return {"file": str(directory / file)}
    if isinstance(value, dict):
        return {
            name: str(directory / one)
            if name.endswith("_file") and isinstance(one, str)
            else _beside(one, directory)
            for name, one in value.items()
        }
    return value


def _compiled(
    value: Mapping[str, object], before: list[Problem], reads: Reads
) -> tuple[PlanEntry | None, NodeSettings | None, tuple[Problem, ...]]:
    try:
        model = Node.model_validate(value, context=reads)
    except ValidationError as wrong:
        return None, None, (*before, *besides(problems(BASE, wrong), before))
    if before:
        return None, None, tuple(before)
    out = settings(model, reads)
    if out.problems or out.value is None:
        found = (Problem((*BASE, *p.path), p.message, p.allowed, p.where) for p in out.problems)
        return None, None, tuple(found)
    return entry("settings", SETTINGS_NAME, out.value, out.blobs), node_settings(model), ()


def _read(
    key: EntryKey, sources: Sources, env: Mapping[str, str], into: dict[str, object]
) -> tuple[Problem, ...]:
    """Adds one setting to `into`; returns its problems."""
    source = sources.owner(key)
    if source is None or source.document is None:
        return ()
    value: object = source.document.entry(*key)
    if key[1] == "":
        is_named_empty = source.document.locate(key, "key") is not None
        return stray("node", value, is_named_empty=is_named_empty)
    whole: object = {key[1]: value}
    found = nulls(whole, BASE)
    if source.uses_environment:
        whole, missing = resolved(whole, BASE, env)
        found += missing
    into.update(cast("dict[str, object]", whole))
    return found
