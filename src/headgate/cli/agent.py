"""`headgate agent`: checks what it was given before the node starts."""

import os
from pathlib import Path

import typer

from headgate.cli import instances, run
from headgate.compile.settings import NodeSettings, node_settings
from headgate.kernel.errors import Invalid
from headgate.model.node import Node
from headgate.node.agent.places import has_identity
from headgate.node.agent.url import MasterUrl, master_url


def checked_url(text: str | None) -> MasterUrl:
    """Returns the master's address; a missing or wrong one is a usage error."""
    if not text:
        raise typer.BadParameter(
            "say where the master is: give --master-url, or set HEADGATE_MASTER_URL",
            param_hint="--master-url",
        )
    try:
        url = master_url(text)
    except Invalid as wrong:
        raise typer.BadParameter(str(wrong), param_hint="--master-url") from None
    return url


def checked_command(command: Path | None) -> Path | None:
    """Returns the command that installs versions; one that cannot be run is a usage error."""
    if command is None or (command.is_file() and os.access(command, os.X_OK)):
        return None if command is None else command.absolute()
    raise typer.BadParameter(
        f"{command} is not a file that this user may run; write the path of an executable file",
        param_hint="--upgrade-command",
    )


def own_settings(configs: list[Path]) -> NodeSettings | None:
    """Returns the node's own settings, the defaults without a config;
    None after the errors of a config were printed.
    """
    if not configs:
        return node_settings(Node())
    return run.node_settings(configs, may_be_empty=True)


def require_token(state_dir: Path, token: str | None) -> None:
    """Ends with a usage error if the node has neither enrolled nor a token to do so."""
    if token or has_identity(state_dir):
        return
    raise typer.BadParameter(
        f"this node has not enrolled yet ({state_dir} has no identity): give --token, or set"
        " HEADGATE_AGENT_TOKEN, with a join token of the master",
        param_hint="--token",
    )


def several(request: run.RunRequest, settings: NodeSettings, place: Path) -> list[str]:
    """Returns the command of an agent with several instances; an option that only one node can have
    is a usage error."""
    for given, option, instead in (
        (request.admin, "--admin", "write `admin` for each of the node.instances"),
        (request.metrics, "--metrics", "write `metrics` for each of the node.instances"),
        (request.engine, "--engine", 'write `engine = "nginx"` in [node]'),
        (request.workers, "--workers", "leave it out: nginx has workers of its own"),
    ):
        if given is not None:
            what = f"the config has several instances, and this is for one node; {instead}"
            raise typer.BadParameter(what, param_hint=option)
    command = request.upgrade_command
    asked = instances.Asked(
        state_dir=str(place),
        configs=[str(path.absolute()) for path in request.configs],
        master=request.master or "",
        name=request.name,
        log_level=request.log_level,
        upgrade_command=None if command is None else str(command),
    )
    try:
        return instances.agent_command(asked, settings)
    except instances.RefusedError as error:
        raise typer.BadParameter(str(error), param_hint="--token") from None
