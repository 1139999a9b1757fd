"""Commands for all instances of an agent at once: `status`, `reload`, `drain`, `upgrade`."""

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from headgate.cli import calls, manage
from headgate.cli.engine_lines import engine_line
from headgate.cli.output import BAD_CONFIG, FAILED, OK
from headgate.cli.places import drives_several, state_dir
from headgate.node.about import NodeStatus
from headgate.node.results import Outcome, ReloadResult
from headgate.supervisor.statedir import INSTANCES_DOOR, instance_dir

_AT_ONCE: Final = 16

T = TypeVar("T")


class InstanceStatus(msgspec.Struct, frozen=True):
    """An instance. `state`: `running`, `waiting` (for another start), `ended` (it was drained),
    `refused` (its config or its join token was) or `leaving`. `why`: how its last process ended,
    unless it was told to, or why the one that runs does not answer. `node` is as in `GET /status`.
    """

    state: str
    pid: int = 0
    restarts: int = 0
    why: str = ""
    node: NodeStatus | None = None


class AgentStatus(msgspec.Struct, frozen=True):
    """An agent that drives several instances; it is ready if each of them is."""

    ready: bool
    instances: dict[str, InstanceStatus]


class AgentReload(msgspec.Struct, frozen=True):
    """The result of an agent's reload. `error`: why its own config was refused; then it changed
    nothing. `results`: of the instances that ran before and run now."""

    error: str = ""
    started: list[str] = []
    stopped: list[str] = []
    results: dict[str, ReloadResult] = {}

    @property
    def code(self) -> int:
        """The exit code that says so."""
        if self.error:
            return BAD_CONFIG
        wrong = [one for one in self.results.values() if not one.is_ok]
        if any(one.outcome is Outcome.REFUSED for one in wrong):
            return BAD_CONFIG
        return FAILED if wrong else OK


class _Told(msgspec.Struct):
    """An answer of the agent's process."""

    ok: bool
    error: str = ""
    instances: dict[str, InstanceStatus] = {}
    started: list[str] = []
    stopped: list[str] = []


def place(state: str | None, node: str | None, instance: str | None) -> Path | None:
    """Returns the state directory of an agent with several instances that runs, if these options
    name one, and no instance of it."""
    found = state_dir(state, node)
    if instance or not drives_several(found):
        return None
    if not (found / INSTANCES_DOOR).exists():
        raise calls.NoNodeError(f"no agent runs at {found}")
    return found


def status(agent: Path) -> AgentStatus:
    """Returns how each instance is, as it says itself. Raises calls.NoNodeError."""

    def whole(name: str, one: InstanceStatus) -> InstanceStatus:
        if one.state not in {"running", "leaving"}:
            return one
        try:
            return msgspec.structs.replace(one, node=manage.status(_dir(agent, name)))
        except calls.NoNodeError as error:
            return msgspec.structs.replace(one, why=str(error))

    found = _each(_ask(agent, "instances").instances, whole)
    ready = all(one.node is not None and one.node.ready for one in found.values())
    return AgentStatus(ready, found)


def status_text(agent: AgentStatus) -> str:
    """Returns a line for each instance."""
    width = max(map(len, ["", *agent.instances]))
    lines = (f"{name:{width}}  {_line(one)}" for name, one in agent.instances.items())
    return "".join(f"{line}\n" for line in lines)


def _line(one: InstanceStatus) -> str:
    again = f", restarted {one.restarts} times" if one.restarts else ""
    node = one.node
    if node is None:
        return f"{one.state}{': ' if one.why else ''}{one.why}{again}"
    parts = ["ready" if node.ready else f"not ready: {node.reason}"]
    if one.state == "leaving":
        parts.append("leaving")
    if (master := node.master) is not None:
        serving = f"revision {master.serving.revision}" if master.serving else "no revision"
        parts += [
            serving,
            "connected" if master.is_connected else f"not connected ({master.state})",
        ]
        parts += [master.last_error] if master.last_error and not master.is_connected else []
    parts.append(engine_line(node.engine))
    if (nginx := node.engine.nginx) is not None:
        parts.append(f"mode {nginx.mode}")
        parts += [nginx.conf] if nginx.mode != "full" else []
    return ", ".join(parts) + again


def reload(agent: Path) -> AgentReload:
    """Has the config of the agent read, and that of each instance that goes on; returns how that
    ended. Raises calls.NoNodeError."""
    told = _ask(agent, "reload")
    if not told.ok:
        return AgentReload(error=told.error)
    ran = _ask(agent, "instances").instances
    kept = {name: one for name, one in ran.items() if one.state == "running"}
    for name in (*told.started, *told.stopped):
        kept.pop(name, None)

    def reloaded(name: str, _: InstanceStatus) -> ReloadResult:
        try:
            return manage.reload(_dir(agent, name))
        except calls.NoNodeError as error:
            return ReloadResult(outcome=Outcome.FAILED, error=str(error))

    return AgentReload("", told.started, told.stopped, _each(kept, reloaded))


def reload_text(result: AgentReload) -> str:
    """Returns a line for each instance."""
    lines = [f"{name}: started\n" for name in result.started]
    lines += [f"{name}: stopped\n" for name in result.stopped]
    lines += [f"{name}: {manage.reload_text(one)}" for name, one in result.results.items()]
    return "".join(lines)


def complaints(result: AgentReload) -> str:
    """Returns the errors, with the instance that has each."""
    lines = result.error.splitlines()
    for name, one in result.results.items():
        lines += [f"{name}: {diagnostic}" for diagnostic in one.diagnostics]
        lines += [f"headgate: {name}: {one.error}"] if one.error else []
    return "".join(f"{line}\n" for line in lines)


def drain(agent: Path, *, wait: bool) -> str | None:
    """Drains every instance and ends the agent; returns an error or None."""
    told = _ask(agent, "drain")
    if not told.ok:
        return told.error
    if wait:
        calls.wait_until_gone(agent, INSTANCES_DOOR)
    return None


def upgrade(agent: Path) -> str | None:
    """Replaces the control process of every instance; returns an error, or None once done."""

    def upgraded(name: str, _: InstanceStatus) -> str | None:
        try:
            return manage.upgrade(_dir(agent, name))
        except calls.NoNodeError as error:
            return str(error)

    known = _ask(agent, "instances").instances
    running = {name: one for name, one in known.items() if one.state == "running"}
    if not running:
        return f"no instance of the agent at {agent} runs"
    found = _each(running, upgraded)
    return "; ".join(f"{name}: {why}" for name, why in found.items() if why) or None


def _ask(agent: Path, op: str) -> _Told:
    answer = calls.supervisor(agent, op, INSTANCES_DOOR)
    try:
        return msgspec.convert(answer, type=_Told)
    except msgspec.ValidationError as error:
        raise calls.NoNodeError(f"the agent at {agent} answers nonsense: {error}") from error


def _each(
    instances: Mapping[str, InstanceStatus], act: Callable[[str, InstanceStatus], T]
) -> dict[str, T]:
    """Returns what was done with each instance, all at once: none waits for another."""
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        begun = {name: threads.submit(act, name, one) for name, one in instances.items()}
        return {name: one.result() for name, one in begun.items()}


def _dir(agent: Path, name: str) -> Path:
    return Path(instance_dir(os.fspath(agent), name))
