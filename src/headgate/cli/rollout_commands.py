"""The commands of rollouts and freezes."""

import sys
from collections import deque
from typing import TYPE_CHECKING, Annotated

import typer

from headgate.cli import rollout_options as options
from headgate.cli.remote.output import Output, Shape
from headgate.cli.remote_commands import ContextName, FleetArgument, opened

if TYPE_CHECKING:
    from headgate.cli.remote.client import Json, Master
    from headgate.cli.remote.waiting import Patience

rollout_app = typer.Typer(
    name="rollout",
    help="Roll revisions out to fleets in waves, and undo rollouts.",
    no_args_is_help=True,
)
freeze_app = typer.Typer(
    name="freeze", help="Manage freezes, during which no wave begins.", no_args_is_help=True
)
_Rollout = Annotated[
    str | None,
    typer.Argument(metavar="ROLLOUT", help="The rollout's id; without it, the newest rollout."),
]


@rollout_app.command("start")
def start(
    fleet: FleetArgument,
    revision: Annotated[
        int | None, typer.Argument(metavar="REVISION", help="The revision's number.")
    ] = None,
    program: Annotated[
        str | None,
        typer.Option(metavar="VERSION", help="Upgrade agents instead of rolling out a revision."),
    ] = None,
    waves: options.Waves = options.DEFAULT_WAVES,
    soak: options.Soak = options.DEFAULT_SOAK_S,
    max_unavailable: Annotated[
        int, typer.Option(metavar="N", min=0, help="Agents that change at once; 0 = no limit.")
    ] = 0,
    min_requests: options.MinRequests = options.DEFAULT_MIN_REQUESTS,
    gate: options.Gates = None,
    quarantine: options.Quarantine = "refuse",
    approvals: Annotated[int, typer.Option(metavar="N", min=0, help="Approvals by others.")] = 0,
    now: Annotated[
        bool, typer.Option("--now", help="Change all agents at once, in spite of freezes.")
    ] = False,
    supersede: Annotated[
        bool, typer.Option("--supersede", help="Stop the rollout that is under way.")
    ] = False,
    wait: options.Wait = False,
    timeout: options.Timeout = options.DEFAULT_TIMEOUT_S,
    hold_timeout: options.HoldTimeout = options.DEFAULT_HOLD_S,
    context: ContextName = "",
    output: Output = Shape.TABLE,
) -> None:
    """Start to roll out a revision to a fleet, or to upgrade its agents.

    The rollout waits for one that is under way in the fleet. An older revision is rolled out like a
    new one. With --wait the exit code says how it ended: see `headgate publish`. With --program,
    agents that have an upgrade command change to that version of headgate.

    \b
    Examples:
      headgate rollout start edge 12 --wait
      headgate rollout start edge 12 --waves label:tier=canary,20%,rest --soak 600
      headgate rollout start edge --program 1.5.0 --wait
    """
    from headgate.cli.remote import publishing, rollout_view

    more = {"max_unavailable": max_unavailable, "approvals": approvals}
    more |= {"is_now": now, "supersede": supersede}
    gates = options.limits(gate) | {"quarantine": quarantine}
    what = _what(revision, program)
    master = opened(context)
    terms = publishing.Terms(waves, soak, min_requests, more, gates)
    made = publishing.begin(master, fleet, what, terms)
    patience = options.patience(timeout, hold_timeout)
    if output is not Shape.TABLE:
        _show(master, made, output, patience if wait else None)
        return
    sys.stdout.write(f"rollout {made} is made\n")
    if wait:
        raise options.leave(rollout_view.watch(master, made, patience))


def _what(revision: int | None, program: str | None) -> int | str:
    """Returns the one of both that is given; any other number of them is a usage error."""
    if revision is None and program is not None:
        return program
    if revision is not None and program is None:
        return revision
    raise typer.BadParameter("name a revision, or give --program VERSION; one of them")


@rollout_app.command("status")
def status(
    rollout: _Rollout = None,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Keep showing the rollout until it has ended.")
    ] = False,
    context: ContextName = "",
    output: Output = Shape.TABLE,
) -> None:
    """Show a rollout: its waves, where each agent stands, its timeline.

    \b
    Examples:
      headgate rollout status --watch
      headgate rollout status 01M3K9… --output json
    """
    from headgate.cli.remote import rollout_view
    from headgate.cli.remote.waiting import Patience

    master = opened(context)
    chosen = rollout_view.chosen(master, rollout)
    if watch and output is Shape.TABLE:
        raise options.leave(rollout_view.watch(master, chosen, Patience()))
    _show(master, chosen, output, Patience() if watch else None)


@rollout_app.command("pause")
def pause(
    rollout: _Rollout = None, context: ContextName = "", output: Output = Shape.TABLE
) -> None:
    """Let no further wave begin; gates still undo a rollout that does harm.

    \b
    Example:
      headgate rollout pause 01M3K9…
    """
    _order("pause", rollout, context, output)


@rollout_app.command("promote")
def promote(
    rollout: _Rollout = None, context: ContextName = "", output: Output = Shape.TABLE
) -> None:
    """Continue a paused rollout, or end the wave that soaks or holds as passed.

    \b
    Example:
      headgate rollout promote 01M3K9…
    """
    _order("promote", rollout, context, output)


@rollout_app.command("abort")
def abort(
    rollout: _Rollout = None, context: ContextName = "", output: Output = Shape.TABLE
) -> None:
    """Stop a rollout, and undo the waves already done.

    \b
    Example:
      headgate rollout abort 01M3K9…
    """
    _order("abort", rollout, context, output)


@rollout_app.command("undo")
def undo(rollout: _Rollout = None, context: ContextName = "", output: Output = Shape.TABLE) -> None:
    """Undo a rollout, even one that succeeded.

    \b
    Example:
      headgate rollout undo 01M3K9…
    """
    _order("undo", rollout, context, output)


@rollout_app.command("approve")
def approve(
    rollout: _Rollout = None, context: ContextName = "", output: Output = Shape.TABLE
) -> None:
    """Approve another user's rollout that waits for approval.

    \b
    Example:
      headgate rollout approve 01M3K9…
    """
    _told("approvals", None, rollout, context, output)


def _order(verb: str, rollout: str | None, context: str, output: Shape) -> None:
    _told("orders", {"verb": verb}, rollout, context, output)


def _told(what: str, body: object, rollout: str | None, context: str, output: Shape) -> None:
    from headgate.cli.remote import rollout_view
    from headgate.cli.remote.output import show_object

    master = opened(context)
    path = rollout_view.path_of(master, rollout_view.chosen(master, rollout))
    done = master.ask("POST", f"{path}/{what}", body)
    if output is Shape.TABLE:
        sys.stdout.write(f"rollout {done['id']} is {done['status']}\n")
    else:
        show_object(done, output)


def _show(master: "Master", rollout: str, output: Shape, patience: "Patience | None") -> None:
    """Prints a rollout; with patience, as it was last seen when the wait ended, and leaves with
    the code of the end. A master that was away all the time leaves nothing to print."""
    from headgate.cli.remote import rollout_view
    from headgate.cli.remote.output import show_object

    seen: deque[Json] = deque(maxlen=1)
    end = None
    if patience is None:
        seen.append(master.get(rollout_view.path_of(master, rollout)))
    else:
        end = rollout_view.followed(master, rollout, patience, seen.append)
    for detail in seen:
        if output is Shape.TABLE:
            sys.stdout.write(rollout_view.text(detail))
        else:
            show_object(detail, output)
    if end is not None and end.code:
        raise options.leave(end)


@freeze_app.command("start")
def start_freeze(
    reason: Annotated[str, typer.Option(metavar="TEXT", help="The reason, shown to everybody.")],
    hours: Annotated[
        float, typer.Option(metavar="HOURS", min=0.02, help="How long the freeze lasts.")
    ] = 24,
    fleet: Annotated[
        str, typer.Option(metavar="NAME", help="The fleet to freeze; without it, all fleets.")
    ] = "",
    context: ContextName = "",
    output: Output = Shape.TABLE,
) -> None:
    """Let no wave begin from now on; rollouts under way may still be undone.

    \b
    Example:
      headgate freeze start --hours 72 --reason "the sale"
    """
    body = {"fleet": fleet, "seconds": int(hours * 3600), "reason": reason}
    master = opened(context)
    made = master.ask("POST", f"/workspaces/{master.workspace}/freezes", body)
    if output is Shape.TABLE:
        sys.stdout.write(f"freeze {made['id']} holds until {made['ends_at']}\n")
    else:
        from headgate.cli.remote.output import show_object

        show_object(made, output)


@freeze_app.command("list")
def list_freezes(context: ContextName = "", output: Output = Shape.TABLE) -> None:
    """List the freezes.

    \b
    Example:
      headgate freeze list
    """
    from headgate.cli.remote.output import show_list

    master = opened(context)
    items = list(master.all(f"/workspaces/{master.workspace}/freezes"))
    show_list(items, ("id", "fleet", "begins_at", "ends_at", "reason"), output)


@freeze_app.command("end")
def end_freeze(
    freeze: Annotated[str, typer.Argument(metavar="FREEZE", help="The freeze's id.")],
    context: ContextName = "",
) -> None:
    """End a freeze at once.

    \b
    Example:
      headgate freeze end 01M3K9…
    """
    master = opened(context)
    master.ask("DELETE", f"/workspaces/{master.workspace}/freezes/{freeze}")
    sys.stdout.write(f"freeze {freeze} is over\n")


APPS = (rollout_app, freeze_app)
