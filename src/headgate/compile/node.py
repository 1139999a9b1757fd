"""`[node]`, put together from all documents."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import cast

from pydantic import ValidationError

from headgate.compile.reads import Reads
from headgate.compile.settings import NodeSettings, node_settings, settings
from headgate.compile.sources import EntryKey, Sources
from headgate.compile.toplevel import stray
from headgate.kernel.diagnostics import ConfigPath
from headgate.model.files import Files
from headgate.model.node import Node
from headgate.model.nulls import nulls
from headgate.model.problems import Problem, besides, problems
from headgate.model.references import resolved
from headgate.plan.kinds import SETTINGS_NAME
from headgate.plan.plan import PlanEntry, entry

BASE: ConfigPath = ("node",)
_TOKEN: EntryKey = ("node", "admin_token")
"""The one setting that may be in a file of its own: the file lies beside its document."""


@dataclass(frozen=True, slots=True)
class NodeUnit:
    """What `[node]` came to; `plan` and `settings` are None when something is wrong with it."""

    plan: PlanEntry | None
    settings: NodeSettings | None
    problems: tuple[Problem, ...] = ()
    seen: tuple[PurePath, ...] = ()
    """The files that it refers to."""


def node_unit(sources: Sources, files: Files, env: Mapping[str, str]) -> NodeUnit:
    """Validates and compiles the node's settings; none at all means every default."""
    value: dict[str, object] = {}
    found: list[Problem] = []
    for key in sources.entries_of("node"):
        found += _read(key, sources, env, value)
    token = sources.owner(_TOKEN)
    reads = Reads(files, token.directory if token is not None else PurePath())
    try:
        model = Node.model_validate(value, context=reads)
    except ValidationError as wrong:
        found += besides(problems(BASE, wrong), found)
        return NodeUnit(None, None, tuple(found), tuple(reads.seen))
    seen = tuple(reads.seen)
    if found:
        return NodeUnit(None, None, tuple(found), seen)
    out = settings(model)
    found += [Problem((*BASE, *p.path), p.message, p.allowed, p.where) for p in out.problems]
    if found or out.value is None:
        return NodeUnit(None, None, tuple(found), seen)
    plan = entry("settings", SETTINGS_NAME, out.value)
    return NodeUnit(plan, node_settings(model), seen=seen)


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
