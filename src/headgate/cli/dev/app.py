"""`headgate dev`: a master in memory and simulated agents."""

import typer

from headgate.cli.dev import fake_agents, fake_master

app = typer.Typer(
    name="dev",
    help="Try out agents and masters, with a master in memory and simulated agents.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command("fake-master")(fake_master.fake_master)
app.command("fake-agents")(fake_agents.fake_agents)

APPS = (app,)
