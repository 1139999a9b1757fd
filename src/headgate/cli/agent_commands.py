"""The command that runs a node for a master."""

import os
from pathlib import Path
from typing import Annotated

import typer

from headgate.cli.node_commands import become, loopback
from headgate.cli.output import BAD_CONFIG
from headgate.cli.places import Engine, NodeName, StateDir, state_dir

MasterUrl = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        envvar=["HEADGATE_MASTER_URL", "NXMESH_MASTER_URL"],
        help="The master: grpcs://HOST or https://HOST.",
    ),
]
Token = Annotated[
    str | None,
    typer.Option(
        metavar="TOKEN",
        envvar=["HEADGATE_AGENT_TOKEN", "NXMESH_AGENT_TOKEN"],
        help="The join token, needed at the first start only.",
    ),
]
OwnConfig = Annotated[
    list[Path] | None,
    typer.Option(
        "--config",
        "-c",
        metavar="CONFIG",
        parser=Path,
        help="A file with the settings of this node; it has [node] only.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(min=1, max=128, envvar="HEADGATE_WORKERS", help="Number of worker threads."),
]
Admin = Annotated[
    list[str] | None,
    typer.Option(metavar="ADDRESS", help="The loopback address of the admin API, or `off`."),
]
Metrics = Annotated[
    list[str] | None,
    typer.Option(metavar="ADDRESS", help="Another address that serves metrics and health."),
]
LogLevel = Annotated[str | None, typer.Option(metavar="LEVEL", help="error, warn, info or debug.")]
EngineChoice = Annotated[
    Engine | None, typer.Option(help="The engine to run, instead of `node.engine`.")
]


UpgradeCommand = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        envvar="HEADGATE_UPGRADE_COMMAND",
        parser=Path,
        help="A program that installs the version given as its argument, so that the master can "
        "upgrade this node.",
    ),
]


def agent(
    master_url: MasterUrl = None,
    token: Token = None,
    config: OwnConfig = None,
    workers: Workers = None,
    admin: Admin = None,
    metrics: Metrics = None,
    log_level: LogLevel = None,
    engine: EngineChoice = None,
    upgrade_command: UpgradeCommand = None,
    state: StateDir = None,
    node: NodeName = None,
) -> None:
    """Run a node for a master: serve the config that the master publishes.

    The node keeps the last good config on disk: it starts with it, and serves it while the master
    is away. Its own settings come from options and from `--config`. The older names
    NXMESH_MASTER_URL and NXMESH_AGENT_TOKEN are read, too.

    With [node.instances.NAME] in that config, the agent drives several nginx of this host. Each of
    them has its own row at the master, and one join token with one use for each enrols them all.

    \b
    Examples:
      headgate agent --master-url grpcs://master.example --token "$TOKEN"
      HEADGATE_MASTER_URL=https://master.example headgate agent --config /etc/headgate/node.toml
      headgate status --instance outer
    """
    from headgate.cli import agent as agents
    from headgate.cli import run as runner

    master = agents.checked_url(master_url)
    request = runner.RunRequest(
        configs=config or [],
        workers=workers,
        admin=None if admin is None else loopback([one for one in admin if one != "off"]),
        metrics=metrics or None,
        admin_hosts=[],
        log_level=log_level,
        watch=True,
        engine=None if engine is None else engine.value,
        master=str(master),
        name=node or "",
        upgrade_command=agents.checked_command(upgrade_command),
    )
    settings = agents.own_settings(request.configs)
    if settings is None:
        raise typer.Exit(BAD_CONFIG)
    place = state_dir(state or settings.state_dir, node)
    if token is not None:  # not on the command line of the node, which every user can read
        os.environ["HEADGATE_AGENT_TOKEN"] = token
    if settings.instances:
        runner.become_agent(agents.several(request, settings, place))
    agents.require_token(place, token)
    become(runner.supervisor_command(request, settings, place))


COMMANDS = (agent,)
