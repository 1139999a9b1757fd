"""The commands of rollouts and freezes."""

import sys
from typing import Annotated

import typer

from headgate.cli.output import FAILED
from headgate.cli.remote.output import Output, Shape
from headgate.cli.remote_commands import ContextName, opened

rollout_app = typer.Typer(
    name="rollout", help="Bring revisions to fleets in waves, and back.", no_args_is_help=True
)
freeze_app = typer.Typer(name="freeze", help="Times in which no wave begins.", no_args_is_help=True)
_Rollout = Annotated[
    str | None, typer.Argument(metavar="[ROLLOUT]", help="Its id; the newest one without.")
]
_Fleet = Annotated[str, typer.Argument(metavar="FLEET", help="The fleet's name or id.")]


@rollout_app.command("start")
def start(
    fleet: _Fleet,
    revision: Annotated[int, typer.Argument(metavar="REVISION", help="The revision's number.")],
    waves: Annotated[
        str, typer.Option(metavar="WAVES", help="Counts, shares, label:NAME=VALUE, zone:NAME.")
    ] = "1,10%,50%,rest",
    soak: Annotated[float, typer.Option(metavar="SECONDS", min=0, help="For each wave.")] = 300,
    max_unavailable: Annotated[
        int, typer.Option(metavar="N", min=0, help="Agents at once; 0 is no limit.")
    ] = 0,
    min_requests: Annotated[
        int, typer.Option(metavar="N", min=0, help="Fewer decide nothing; 0: no traffic is fine.")
    ] = 50,
    approvals: Annotated[int, typer.Option(metavar="N", min=0, help="By others.")] = 0,
    now: Annotated[
        bool, typer.Option("--now", help="All agents at once, in spite of freezes.")
    ] = False,
    supersede: Annotated[
        bool, typer.Option("--supersede", help="Stop the rollout under way.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Show it until it has ended.")] = False,
    context: ContextName = "",
) -> None:
    """Begin to bring a revision to a fleet.

    It waits for the rollout that is under way in the fleet. With --wait the exit code is 1 unless
    it succeeds.

    \b
    Examples:
      headgate rollout start edge 12 --wait
      headgate rollout start edge 12 --waves label:tier=canary,20%,rest --soak 600
    """
    from headgate.cli.remote import rollout_view

    master = opened(context)
    body = {
        "fleet": fleet,
        "revision": revision,
        "waves": [wave.strip() for wave in waves.split(",")],
        "soak_s": soak,
        "max_unavailable": max_unavailable,
        "gates": {"min_requests": min_requests},
        "approvals": approvals,
        "is_now": now,
        "supersede": supersede,
    }
    made = str(master.ask("POST", rollout_view.path_of(master), body)["id"])
    sys.stdout.write(f"rollout {made} is made\n")
    if wait:
        _end_with(str(rollout_view.watch(master, made)["status"]))


@rollout_app.command("status")
def status(
    rollout: _Rollout = None,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Show it until it has ended.")
    ] = False,
    context: ContextName = "",
    output: Output = Shape.TABLE,
) -> None:
    """Show a rollout: its waves, where each agent stands, its timeline.

    \b
    Example:
      headgate rollout status --watch
    """
    from headgate.cli.remote import rollout_view
    from headgate.cli.remote.output import show_object

    master = opened(context)
    chosen = rollout_view.chosen(master, rollout)
    if watch:
        _end_with(str(rollout_view.watch(master, chosen)["status"]))
        return
    detail = master.get(rollout_view.path_of(master, chosen))
    if output is Shape.TABLE:
        sys.stdout.write(rollout_view.text(detail))
    else:
        show_object(detail, output)


@rollout_app.command("pause")
def pause(rollout: _Rollout = None, context: ContextName = "") -> None:
    """Let no further wave begin; gates still undo what does harm."""
    _order("pause", rollout, context)


@rollout_app.command("promote")
def promote(rollout: _Rollout = None, context: ContextName = "") -> None:
    """Let a paused rollout go on, or end the wave that soaks or holds as passed."""
    _order("promote", rollout, context)


@rollout_app.command("abort")
def abort(rollout: _Rollout = None, context: ContextName = "") -> None:
    """Stop a rollout, and undo the waves already done."""
    _order("abort", rollout, context)


@rollout_app.command("undo")
def undo(rollout: _Rollout = None, context: ContextName = "") -> None:
    """Take a rollout back, also one that succeeded."""
    _order("undo", rollout, context)


@rollout_app.command("approve")
def approve(rollout: _Rollout = None, context: ContextName = "") -> None:
    """Approve a rollout of somebody else that waits for it."""
    from headgate.cli.remote import rollout_view

    master = opened(context)
    path = rollout_view.path_of(master, rollout_view.chosen(master, rollout))
    done = master.ask("POST", f"{path}/approvals")
    sys.stdout.write(f"rollout {done['id']} is {done['status']}\n")


def _order(verb: str, rollout: str | None, context: str) -> None:
    from headgate.cli.remote import rollout_view

    master = opened(context)
    path = rollout_view.path_of(master, rollout_view.chosen(master, rollout))
    done = master.ask("POST", f"{path}/orders", {"verb": verb})
    sys.stdout.write(f"rollout {done['id']} is {done['status']}\n")


def _end_with(ended: str) -> None:
    if ended != "succeeded":
        raise typer.Exit(FAILED)


@freeze_app.command("start")
def start_freeze(
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; shown to everybody.")],
    hours: Annotated[float, typer.Option(metavar="HOURS", min=0.02, help="For how long.")] = 24,
    fleet: Annotated[str, typer.Option(metavar="NAME", help="One fleet; all without.")] = "",
    context: ContextName = "",
) -> None:
    """Let no wave begin from now on; what is under way may still be undone.

    \b
    Example:
      headgate freeze start --hours 72 --reason "the sale"
    """
    body = {"fleet": fleet, "seconds": int(hours * 3600), "reason": reason}
    master = opened(context)
    made = master.ask("POST", f"/workspaces/{master.workspace}/freezes", body)
    sys.stdout.write(f"freeze {made['id']} holds until {made['ends_at']}\n")


@freeze_app.command("list")
def list_freezes(context: ContextName = "", output: Output = Shape.TABLE) -> None:
    """List the freezes."""
    from headgate.cli.remote.output import show_list

    master = opened(context)
    items = list(master.all(f"/workspaces/{master.workspace}/freezes"))
    show_list(items, ("id", "fleet", "begins_at", "ends_at", "reason"), output)


@freeze_app.command("end")
def end_freeze(
    freeze: Annotated[str, typer.Argument(metavar="FREEZE", help="Its id.")],
    context: ContextName = "",
) -> None:
    """End a freeze at once."""
    master = opened(context)
    master.ask("DELETE", f"/workspaces/{master.workspace}/freezes/{freeze}")
    sys.stdout.write(f"freeze {freeze} is over\n")


APPS = (rollout_app, freeze_app)
