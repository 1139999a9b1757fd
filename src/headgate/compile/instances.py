"""`[node.instances.NAME]`: the nodes of an agent that drives several nginx.

Each is `[node]` with the keys of its own table over it: those of `nginx` one by one, every other
key as a whole. It is checked as the node that this makes; errors are told where they were written.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from posixpath import normpath
from typing import Final

import msgspec
from pydantic import ValidationError

from headgate.compile.settings import NodeSettings
from headgate.features.syntax import described
from headgate.kernel.diagnostics import ConfigPath
from headgate.kernel.errors import Invalid
from headgate.model.instance import Identity, instance_name
from headgate.model.node import Instance
from headgate.model.problems import Problem, problems, unknown_key
from headgate.plan.plan import PlanEntry

KEY: Final = "instances"
_AT: Final[ConfigPath] = ("node", KEY)
_IDENTITY: Final = frozenset(Identity.model_fields)
_FORMAL: Final = "write one table per nginx: [node.instances.NAME]"

Value = Mapping[str, object]
Compiled = tuple[PlanEntry | None, NodeSettings | None, tuple[Problem, ...]]
Compile = Callable[[Value], Compiled]


@dataclass(frozen=True, slots=True)
class One:
    """An instance; `plan` and `settings` are None if it has an error."""

    name: str
    written: Value
    """Its own table."""
    plan: PlanEntry | None
    settings: NodeSettings | None
    problems: tuple[Problem, ...]


def compiled(base: Value, written: object, compile_one: Compile) -> list[One] | Problem:
    """Returns the instances of a node, or why there is none. `base`: `[node]` without them;
    `compile_one` makes a node of a whole table."""
    if not isinstance(written, dict):
        return Problem(_AT, f"{described(written)} is not a table", _FORMAL)
    if not written:
        return Problem(_AT, "there is no instance", f"{_FORMAL}, or remove it", "key")
    found: list[One] = []
    for name, own in written.items():
        found.append(_one(base, str(name), own, compile_one))
    return [_apart(one, found[:index]) for index, one in enumerate(found)]


def missing(name: str) -> Problem:
    """Returns the error of an instance that is not in the config."""
    return Problem(_AT, f'there is no instance "{name}" any more', "reload the agent, or write it")


def _one(base: Value, name: str, own: object, compile_one: Compile) -> One:
    at = (*_AT, name)
    try:
        instance_name(name)
    except Invalid as error:
        return One(name, {}, None, None, (Problem(at, error.what, error.allowed, "key"),))
    if not isinstance(own, dict):
        wrong_type = Problem(at, f"{described(own)} is not a table", _FORMAL)
        return One(name, {}, None, None, (wrong_type,))
    known = tuple(Instance.model_fields)
    wrong = [unknown_key((*at, key), known) for key in own if key not in known]
    identity = Identity()
    try:
        identity = Identity.model_validate({k: v for k, v in own.items() if k in _IDENTITY})
    except ValidationError as failed:
        wrong += problems(at, failed)
    mine = {key: value for key, value in own.items() if key in known and key not in _IDENTITY}
    plan, settings, more = compile_one(_over({"admin": "off", **base}, mine))
    wrong += [_moved(problem, at, mine) for problem in more]
    if settings is not None and settings.engine != "nginx":
        what = f'the engine of instance "{name}" is not nginx'
        allowed = 'write `engine = "nginx"` in [node]; a native node takes an agent of its own'
        wrong.append(Problem(at, what, allowed, "key"))
    if wrong or settings is None:
        return One(name, mine, None, None, tuple(wrong))
    settings = replace(settings, title=identity.name, labels=dict(identity.labels))
    return One(name, own, plan, settings, ())


def _over(base: Value, own: Value) -> dict[str, object]:
    """Returns a table with another one over it."""
    out = dict(base)
    for key, value in own.items():
        below = base.get(key)
        if key == "nginx" and isinstance(below, dict) and isinstance(value, dict):
            out[key] = {**below, **value}
        else:
            out[key] = value
    return out


def _moved(problem: Problem, at: ConfigPath, own: Value) -> Problem:
    """Returns a problem of a whole node at the place where that part of it was written."""
    key, *rest = problem.path[1:] or ("",)
    mine = own.get(str(key))
    if str(key) not in own or (isinstance(mine, dict) and rest and rest[0] not in mine):
        return problem
    return msgspec.structs.replace(problem, path=(*at, key, *rest))


def _apart(one: One, before: list[One]) -> One:
    """Returns an instance; with an error for each thing that an earlier one has already."""
    mine = one.settings
    if mine is None:
        return one
    wrong: list[Problem] = []
    for other in before:
        if other.settings is None:
            continue
        theirs = {thing for _, thing in _things(other.settings)}
        for at, thing in _things(mine):
            if thing in theirs:
                what = f'{thing[1]} is that of instance "{other.name}", too'
                own = (*_AT, one.name)
                found = _moved(Problem(("node", *at), what, thing[2]), own, one.written)
                is_shared = found.path[: len(own)] != own  # it is written for both of them
                wrong.append(Problem(own, what, thing[2], "key") if is_shared else found)
    if not wrong:
        return one
    return replace(one, plan=None, settings=None, problems=tuple(wrong))


def _things(node: NodeSettings) -> Iterator[tuple[ConfigPath, tuple[str, str, str]]]:
    """Yields what no two instances may have: its key, its kind, its words, and what to write."""
    for key, addresses in (("admin", node.admin), ("metrics", node.metrics)):
        for address in addresses:
            of_its_own = "give each instance addresses of its own"
            yield (key,), ("address", f'the address "{address}"', of_its_own)
    if node.title is not None:
        yield ("name",), ("title", f'the name "{node.title}"', "give each one a name of its own")
    nginx = node.nginx
    if nginx.mode != "full":
        written = "write the `conf` of another nginx"
        if nginx.conf is not None:
            yield ("nginx", "conf"), ("conf", f'the nginx of "{normpath(nginx.conf)}"', written)
        else:
            default = f"the nginx with the default config of {nginx.binary or 'this host'}"
            yield ("nginx", "conf"), ("conf", default, written)
    if nginx.start == "systemd" and nginx.mode != "observe":
        of_others = 'write `start = "external"` for the nginx of a unit of another name'
        yield ("nginx", "start"), ("unit", "the nginx of nginx.service", of_others)
    if nginx.pid is not None:
        of_another = "write the `pid` of another nginx"
        yield ("nginx", "pid"), ("pid", f'the pid file "{normpath(nginx.pid)}"', of_another)
