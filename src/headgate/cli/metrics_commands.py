"""The command that shows what a fleet served."""

from enum import StrEnum
from typing import Annotated

import typer

from headgate.cli.remote.output import Output, Shape
from headgate.cli.remote_commands import ContextName, FleetArgument, opened


class Series(StrEnum):
    """The values of `--by`."""

    FLEET = "fleet"
    AGENT = "agent"


Range = Annotated[
    str,
    typer.Option("--range", metavar="TIME", help="How far back to go, such as 30m; a day at most."),
]
Step = Annotated[
    str, typer.Option(metavar="TIME", help="The time between two points: 15s, 1m, 5m, 15m or 1h.")
]
By = Annotated[Series, typer.Option(help="One series for the fleet, or one for each agent.")]
OnlyAgent = Annotated[str, typer.Option("--agent", metavar="ID", help="Show only this agent.")]


def fleet_metrics(
    fleet: FleetArgument,
    range_: Range = "1h",
    step: Step = "5m",
    by: By = Series.FLEET,
    agent: OnlyAgent = "",
    context: ContextName = "",
    output: Output = Shape.TABLE,
) -> None:
    """Show what the nodes of a fleet served: requests, errors, connections, latency.

    \b
    Examples:
      headgate fleet-metrics edge
      headgate fleet-metrics edge --range 24h --step 1h --by agent
      headgate fleet-metrics edge --range 10m --step 15s --output json
    """
    from headgate.cli.remote import figures
    from headgate.cli.remote.output import show_list

    window = figures.window(range_, step, by.value, agent)
    found = list(figures.points(opened(context), fleet, window))
    shown = [figures.cells(one) for one in found] if output is Shape.TABLE else found
    show_list(shown, figures.columns(by.value, agent), output)


COMMANDS = (fleet_metrics,)
