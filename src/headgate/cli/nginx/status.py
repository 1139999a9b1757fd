"""`headgate nginx status`: shows the nginx of a node, even if the node does not run."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from headgate.cli.output import FAILED, Format, Output, complain, show
from headgate.cli.places import (
    InstanceName,
    NodeName,
    StateDir,
    driven,
    drives_several,
    node_dir,
    state_dir,
)
from headgate.supervisor.statedir import INSTANCES

if TYPE_CHECKING:
    from headgate.engines.nginx.health.managed import Managed
    from headgate.engines.status import EngineStatus


def status(
    root: Annotated[
        Path | None,
        typer.Option(
            help="The nginx folder of the node. [default: STATE_DIR/nginx]", metavar="DIR"
        ),
    ] = None,
    state: StateDir = None,
    node: NodeName = None,
    instance: InstanceName = None,
    output: Output = Format.TEXT,
) -> None:
    """Show a node's nginx: generations, releases, drift, workers, hold, boot safety.

    It needs no running node, but asks the node if it runs. The exit code is 1 if nginx is not in
    sync or does not run. For an agent with several instances it shows a line for each of them.

    \b
    Examples:
      headgate nginx status
      headgate nginx status --root /var/lib/headgate/default/nginx --output json
    """
    from headgate.engines.nginx.apply.here import NotHereError

    if root is None and not instance and drives_several(agent := state_dir(state, node)):
        every = {name: _found(agent / INSTANCES / name) for name in driven(agent)}
        show(every, output, _lines)
        is_well = all(not isinstance(one, str) and _is_well(one) for one in every.values())
    else:
        try:
            one = _status(root or node_dir(state, node, instance) / "nginx")
        except NotHereError as error:
            raise complain(str(error)) from None
        show(one, output, text)
        is_well = _is_well(one)
    if not is_well:
        raise typer.Exit(FAILED)


def _is_well(one: "Managed") -> bool:
    return one.drift == ("in sync",) and not one.problems


def _status(folder: Path) -> "Managed":
    from headgate.engines.nginx.health.managed import managed

    return msgspec.structs.replace(managed(folder), node=_node(folder.parent))


def _found(place: Path) -> "Managed | str":
    """Returns the nginx of an instance, or why nothing is known of it."""
    from headgate.engines.nginx.apply.here import NotHereError

    try:
        return _status(place / "nginx")
    except NotHereError as error:
        return str(error)


def _lines(every: dict[str, "Managed | str"]) -> str:
    """Returns a line for each instance."""
    width = max(map(len, ["", *every]))
    return "".join(f"{name:{width}}  {_line(one)}\n" for name, one in every.items())


def _line(one: "Managed | str") -> str:
    if isinstance(one, str):
        return one
    parts = [", ".join(one.drift) or "no release"]
    parts.append(f"generation {' and '.join(map(str, one.running)) or 'none'} runs")
    parts += [_processes(one), *one.problems]
    return "; ".join(parts)


def _node(state: Path) -> "EngineStatus | None":
    """Returns this state directory's node's report about its nginx; None without a node."""
    from headgate.cli import calls, manage

    try:
        return manage.status(state).engine
    except calls.NoNodeError:
        return None


def text(one: "Managed") -> str:
    """Returns one line for each fact."""
    lines = [
        f"state        {', '.join(one.drift) or 'no release'}",
        *(f"             {edit}" for edit in one.edits[:20]),
        f"generation   desired {_or_none(one.desired)}, on disk {_or_none(one.on_disk)},"
        f" running {' and '.join(map(str, one.running)) or 'none'}",
        *(f"{link:12} {name}" for link, name in one.links.items()),
        f"releases     {len(one.releases)}",
        f"processes    {_processes(one)}",
        *(f"             {line}" for line in _draining(one)),
        f"hold         {one.hold.text(time.time()) if one.hold else 'none'}",
        f"boot safe    {'yes' if one.is_boot_safe else 'NO'}: {one.boot_safe_why}",
        f"last apply   {_last(one)}",
        f"node         {_said(one.node)}",
        *(f"problem      {problem}" for problem in one.problems),
    ]
    return "\n".join(lines) + "\n"


def _processes(one: "Managed") -> str:
    if one.master is None:
        return "no master runs"
    serving = [worker for worker in one.workers if not worker.draining]
    resident = sum(worker.resident_bytes for worker in one.workers)
    upgrade = ", a binary upgrade is under way" if one.is_upgrading else ""
    return (
        f"master {one.master}, {len(serving)} workers,"
        f" {len(one.workers) - len(serving)} draining, {resident / 1024**2:.0f} MiB{upgrade}"
    )


def _draining(one: "Managed") -> list[str]:
    return [
        f"worker {worker.pid} drains, started {worker.age_s:.0f} s ago,"
        f" {worker.resident_bytes / 1024**2:.0f} MiB"
        for worker in one.workers
        if worker.draining
    ]


def _last(one: "Managed") -> str:
    last = one.last_apply
    if last is None:
        return "none"
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(last.at))
    back = f", back to {last.went_back_to}" if last.went_back_to else ""
    ended = {"served": "serves", "open": f"open at {last.step}"}.get(
        last.ended, f"{last.ended} at {last.step}{back}"
    )
    return f"generation {last.generation} {ended} ({at})"


def _said(node: "EngineStatus | None") -> str:
    if node is None:
        return "does not run, or does not answer"
    about = node.nginx
    if about is None:
        return f"runs, {node.state}: {node.why}"
    degraded = ", DEGRADED" if node.state == "degraded" else ""
    warning = f"; {about.warning}" if about.warning else ""
    return f"runs, {about.applied} applied, {about.rejected} rejected{degraded}{warning}"


def _or_none(value: int | None) -> str:
    return "none" if value is None else str(value)


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command()(status)
