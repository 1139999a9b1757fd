"""The command that searches the logs of nodes."""

import sys
from enum import StrEnum
from typing import Annotated

import typer

from headgate.cli.output import FAILED
from headgate.cli.remote.output import Output, Shape
from headgate.cli.remote_commands import ContextName, opened


class Source(StrEnum):
    """The values of `--source`."""

    ACCESS = "access"
    EVENTS = "events"


OfFleet = Annotated[str, typer.Option("--fleet", metavar="NAME", help="The nodes of this fleet.")]
OfAgent = Annotated[
    str, typer.Option("--agent", metavar="AGENT", help="The node of this agent, by name or id.")
]
FromSource = Annotated[Source, typer.Option(help="The access log, or the node's events.")]
Since = Annotated[str, typer.Option(metavar="TIME", help="How far back to search, such as 15m.")]
Status = Annotated[str, typer.Option(metavar="STATUS", help="The status, such as 404 or 5xx.")]
Host = Annotated[str, typer.Option(metavar="NAME", help="The host of the request; JSON logs only.")]
PathPrefix = Annotated[
    str, typer.Option("--path", metavar="PATH", help="The beginning of the request's target.")
]
Text = Annotated[str, typer.Option(metavar="TEXT", help="A text anywhere in the line.")]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="The most lines to show.")]


def logs(
    fleet: OfFleet = "",
    agent: OfAgent = "",
    source: FromSource = Source.ACCESS,
    since: Since = "1h",
    status: Status = "",
    host: Host = "",
    path: PathPrefix = "",
    text: Text = "",
    limit: Limit = 100,
    context: ContextName = "",
    output: Output = Shape.TABLE,
) -> None:
    """Search the logs of a fleet's nodes, or of one node, where they are; newest lines first.

    Anything that looks like a secret is left out. Agents that did not answer, or only in part, are
    named on standard error; the exit code is 1 if none was searched.

    \b
    Examples:
      headgate logs --fleet edge --status 5xx --since 15m
      headgate logs --agent web-1 --path /api --text curl
      headgate logs --fleet edge --source events --output json
    """
    from headgate.cli.remote import searching
    from headgate.cli.remote.output import show_object

    if bool(fleet) == bool(agent):
        raise typer.BadParameter("give one of --fleet and --agent")
    query = searching.query(
        source=source.value, since=since, status=status, host=host, path=path, text=text
    )
    found = searching.found(opened(context), fleet, agent, {**query, "limit": limit})
    if output is Shape.TABLE:
        sys.stdout.writelines(f"{line}\n" for line in searching.lines(found))
        sys.stderr.writelines(f"headgate: {note}\n" for note in searching.notes(found))
    else:
        show_object(found, output)
    if not searching.is_any_searched(found):
        raise typer.Exit(FAILED)


COMMANDS = (logs,)
