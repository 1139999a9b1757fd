"""The commands about drift: how an agent's nginx differs, and what is done about it."""

import sys
from enum import StrEnum
from typing import Annotated

import typer

from headgate.cli.output import printable
from headgate.cli.remote.output import Output, Shape
from headgate.cli.remote_commands import ContextName, FleetArgument, opened

drift_app = typer.Typer(
    name="drift",
    help="Show, heal and adopt changes that others made in the nginx of agents.",
    no_args_is_help=True,
)
APPS = (drift_app,)
AgentName = Annotated[str, typer.Argument(metavar="AGENT", help="The agent's name or id.")]


class PolicyName(StrEnum):
    """The policies of a fleet."""

    NODE = "node"
    REPORT = "report"
    HEAL = "heal"
    ADOPT = "adopt"


@drift_app.command("show")
def show(agent: AgentName, context: ContextName = "", output: Output = Shape.TABLE) -> None:
    """Show the drift of an agent's nginx: each file as headgate wrote it last, as it is, and as
    headgate would write it now.

    \b
    Example:
      headgate drift show web-1
    """
    from headgate.cli.remote import drifting
    from headgate.cli.remote.output import show_object

    master = opened(context)
    found = master.get(f"{drifting.path_of(master, agent)}/drift")
    if output is Shape.TABLE:
        sys.stdout.writelines(f"{printable(line)}\n" for line in drifting.lines(found))
    else:
        show_object(found, output)


@drift_app.command("heal")
def heal(
    agent: AgentName,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Wait until the agent reports how it ended.")
    ] = True,
    timeout: Annotated[
        int, typer.Option(min=1, metavar="SECONDS", help="The longest time to wait.")
    ] = 120,
    context: ContextName = "",
) -> None:
    """Make an agent undo its current drift, whatever the fleet's policy is.

    The changes that it undoes are kept in the node's state directory. A hold on the host stops it.

    \b
    Example:
      headgate drift heal web-1
    """
    from headgate.cli.remote import drifting

    found = drifting.healed(opened(context), agent, timeout if wait else 0.0)
    sys.stdout.writelines(f"{printable(line)}\n" for line in drifting.lines(found))


@drift_app.command("adopt")
def adopt(agent: AgentName, context: ContextName = "", output: Output = Shape.TABLE) -> None:
    """Make a draft of what an agent has on disk, of an edit of an imported nginx config.

    Nothing is published: look at the draft, then publish or remove it. A draft takes the place of
    the agent's earlier one.

    \b
    Example:
      headgate drift adopt web-1
    """
    from headgate.cli.remote import drifting
    from headgate.cli.remote.output import show_object

    found = drifting.adopted(opened(context), agent)
    if output is Shape.TABLE:
        sys.stdout.writelines(f"{printable(one)}\n" for one in drifting.draft_lines(found))
    else:
        show_object(found, output)


@drift_app.command("policy")
def policy(
    fleet: FleetArgument,
    word: Annotated[
        PolicyName,
        typer.Argument(metavar="POLICY", help="The policy: node, report, heal or adopt."),
    ],
    heal_after: Annotated[
        str,
        typer.Option(metavar="TIME", help="How long drift lasts before it is healed or proposed."),
    ] = "",
    context: ContextName = "",
) -> None:
    """Choose what the agents of a fleet do about drift; no node is restarted.

    \b
    Examples:
      headgate drift policy edge report
      headgate drift policy edge heal --heal-after 2m
      headgate drift policy edge adopt
    """
    from headgate.cli.remote import drifting

    drifting.set_policy(opened(context), fleet, word.value, heal_after)
    sys.stdout.write(f"fleet {fleet}: drift policy {word.value}\n")
