"""The effects of a config on the engines of a fleet, by what these reported that they can do. Pure.

The renderer that an agent runs is asked here with the agent's own answers, so that what is said
beforehand is what it would say.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from headgate.compile.loaded import Loaded
from headgate.compile.located import locator
from headgate.engines.nginx.common.types import (
    CannotExpress,
    Capabilities,
    Generation,
    Mode,
    Rendered,
    Target,
)
from headgate.fleet.manifest import resource_path
from headgate.kernel.diagnostics import dotted
from headgate.master.domains.agents.types import Engine
from headgate.master.domains.drafts import imports
from headgate.master.domains.drafts.types import EngineEffect, Inability
from headgate.master.domains.resources.validation import SentImport
from headgate.model.config import SECTION_OF
from headgate.plan.plan import Plan

_ROOT: Final = "/var/lib/headgate/nginx"
_MODES: Final[dict[str, Mode]] = {"mode=full": "full", "mode=guest": "guest"}
_CHANGES: Final = ("none", "in-place", "reload", "unknown")
_NOWHERE: Final = "config"
"""The file of what is written nowhere, such as an object that was removed."""
_CHANGE: Final = 'change it, or move the fleet to the engine "native"'


class Kind(NamedTuple):
    """Agents whose engines can do the same."""

    engine: str
    version: str
    capabilities: tuple[str, ...]


def kinds(engines: Iterable[Engine]) -> dict[Kind, int]:
    """Returns the kinds of engines, and how many there are of each."""
    found: dict[Kind, int] = {}
    for one in engines:
        kind = Kind(one.engine, one.version, tuple(sorted(one.capabilities)))
        found[kind] = found.get(kind, 0) + 1
    return found


class Config(NamedTuple):
    """A config as it compiled, and the import that comes with it, if any."""

    loaded: Loaded
    imported: SentImport | None


def engine_effect(kind: Kind, agents: int, before: Config, after: Config) -> EngineEffect:
    """Returns what publishing would do to engines of a kind; `after` has no errors."""
    is_same = _is_same(before.loaded.plan, after.loaded.plan)
    is_same &= kind.engine != "nginx" or before.imported == after.imported
    made_of = EngineEffect(
        engine=kind.engine,
        version=kind.version,
        agents=agents,
        is_known=True,
        refuses=[],
        notes=[],
        change="none" if is_same else "in-place",
    )
    if kind.engine != "nginx":
        return made_of.model_copy(update={"notes": imports.notes_of_native(*after)})
    if after.imported is not None and (why := imports.refusal(kind.capabilities)):
        refused = imports.refused(after.imported, why)
        return made_of.model_copy(update={"refuses": [refused], "change": "unknown"})
    target = target_of(kind)
    if target is None or after.loaded.plan is None:
        return made_of.model_copy(update={"is_known": False, "change": "unknown"})
    new = imports.rendered(*after, target)
    if not isinstance(new, Rendered):
        refuses = [_inability(after, one) for one in new or ()]
        return made_of.model_copy(update={"refuses": refuses, "change": "unknown"})
    old = imports.rendered(*before, target)
    is_reload = not isinstance(old, Rendered) or old.files != new.files
    change = "reload" if is_reload else made_of.change
    notes = [*new.notes, *imports.notes_of_nginx(after.imported)]
    return made_of.model_copy(update={"notes": notes, "change": change})


def _is_same(before: Plan | None, after: Plan | None) -> bool:
    return before is not None and after is not None and before.digest == after.digest


def target_of(kind: Kind) -> Target | None:
    """Returns what to render for; None where the agent has not said what its nginx accepts."""
    words = frozenset(kind.capabilities)
    mode = next((_MODES[word] for word in words if word in _MODES), None)
    if mode is None or "imported" in words:
        return None
    return Target(
        capabilities=Capabilities("", "", kind.version, words),
        mode=mode,
        generation=Generation(1),
        root=_ROOT,
        pid_path=f"{_ROOT}/run/nginx.pid",
        status_socket=f"{_ROOT}/run/status.sock",
        access_log=f"{_ROOT}/logs/access.log",
        error_log=f"{_ROOT}/logs/error.log",
        system_roots="/etc/ssl/certs/ca-certificates.crt" if "system-roots" in words else None,
        endpoints="lua" if "endpoints=lua" in words else "reload",
    )


def _inability(config: Config, one: CannotExpress) -> Inability:
    if config.imported is not None and one.kind == "settings":
        return imports.refused(config.imported, one.message)
    place = locator(config.loaded, _NOWHERE)(one.kind, one.name, one.path)
    section = next((name for kind, name in SECTION_OF.items() if kind == one.kind), "node")
    prefix = dotted((section, one.name))
    is_removed = place.file == _NOWHERE and section != "node"
    rest = place.path.removeprefix(prefix) if place.path.startswith(prefix) else f".{one.path}"
    return Inability(
        object=resource_path(section, one.name) if is_removed else place.file,
        path="$" + rest if rest.strip(".") else "$",
        detail=one.message,
        allowed=_CHANGE,
    )


def refusals(effects: Sequence[EngineEffect]) -> list[Inability]:
    """Returns what any engine would refuse the whole revision for, each once."""
    found = {(one.object, one.path, one.detail): one for each in effects for one in each.refuses}
    return [found[key] for key in sorted(found)]


def merged_engines(effects: Sequence[EngineEffect]) -> list[EngineEffect]:
    """Returns effects of which each kind of engine has one: the sum of its agents, everything that
    any of them refuses, and the change that costs most."""
    found: dict[tuple[str, str, bool], EngineEffect] = {}
    for one in effects:
        key = (one.engine, one.version, one.is_known)
        if (known := found.get(key)) is None:
            found[key] = one
            continue
        found[key] = known.model_copy(
            update={
                "agents": known.agents + one.agents,
                "refuses": [*known.refuses, *(x for x in one.refuses if x not in known.refuses)],
                "notes": [*known.notes, *(x for x in one.notes if x not in known.notes)],
                "change": max(known.change, one.change, key=_CHANGES.index),
            }
        )
    return list(found.values())
