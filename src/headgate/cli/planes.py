"""`headgate dataplane` and `headgate control`: the two planes of a node, each on its own."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec
import typer

from headgate.cli import agent, rights, run
from headgate.cli.output import BAD_CONFIG
from headgate.cli.run import CONTROL_GRACE_S, become, replace_by, supervisor_of
from headgate.compile.settings import NodeSettings
from headgate.features import syntax
from headgate.kernel.errors import Invalid
from headgate.node.agent.places import folder, has_link_identity, link_folder
from headgate.node.gate.options import GateOptions
from headgate.node.options import Options
from headgate.node.remote.credentials import Credentials
from headgate.node.remote.target import Files, Fleet, Target


@dataclass(frozen=True, slots=True)
class DataPlaneRequest:
    """The request that the command line of `headgate dataplane` makes."""

    listen: str
    files: Files | None
    master: str
    """The master whose CA issues the certificate, without files."""
    control_names: list[str]
    metrics: list[str]
    admin_hosts: list[str]
    workers: int | None
    log_level: str | None
    user: str | None


@dataclass(frozen=True, slots=True)
class ControlSource:
    """The source of a control plane's config: files or the environment, or a master; `configs` then
    have the settings of this node alone."""

    configs: list[Path]
    settings: NodeSettings
    master: str | None = None


def source_of(configs: list[Path], master_url: str | None, own: list[Path]) -> ControlSource:
    """Returns where the config comes from; nothing, both, or a wrong address is a usage error, and
    errors of a config are printed."""
    if configs and master_url:
        raise typer.BadParameter(
            "the config comes from files or from a master, and both are given; write the settings"
            " of this node alone into a file for --config",
            param_hint="CONFIG",
        )
    if own and not master_url:
        raise typer.BadParameter(
            "--config has settings of a node that a master drives: give --master-url, or the file"
            " as CONFIG",
            param_hint="--config",
        )
    if not configs and not master_url and not run.has_environment_config(os.environ):
        raise typer.BadParameter(
            "give a config file or --master-url, or set PROXY_UPSTREAM_ADDRS to run without them",
            param_hint="CONFIG",
        )
    master = str(agent.checked_url(master_url)) if master_url else None
    settings = agent.own_settings(own) if master else run.node_settings(configs)
    if settings is None:
        raise typer.Exit(BAD_CONFIG)
    return ControlSource(own if master else configs, settings, master)


def remember(source: ControlSource, state_dir: Path, token: str | None) -> None:
    """Leaves the join token to the process that follows; a node of a master that has neither
    enrolled nor a token is a usage error."""
    if source.master is None:
        return
    agent.require_token(state_dir, token)
    if token is not None:  # not on the command line of the node, which every user can read
        os.environ["HEADGATE_AGENT_TOKEN"] = token


def files(cert: Path, key: Path, ca: Path, *, is_server: bool) -> Files:
    """Returns the files of a control link once they were tried; raises CredentialsError."""
    found = Files(*(str(path.absolute()) for path in (cert, key, ca)))
    Credentials(found, is_server=is_server)
    return found


def master_of(url: str | None, state_dir: Path, token: str | None) -> str:
    """Returns the master whose CA issues the data plane's certificate, and leaves the join token to
    the process that follows; a data plane that has neither enrolled nor a token is a usage error.
    """
    checked = str(agent.checked_url(url))
    if not token and not has_link_identity(state_dir):
        raise typer.BadParameter(
            f"this data plane has not enrolled yet ({link_folder(state_dir)} has no identity): give"
            " --token, or set HEADGATE_AGENT_TOKEN, with a token of `headgate tokens join FLEET"
            " --data-plane AGENT`",
            param_hint="--token",
        )
    if token is not None:  # not on the command line of the node, which every user can read
        os.environ["HEADGATE_AGENT_TOKEN"] = token
    return checked


def target(address: str, name: str | None, its: Files | None, state_dir: Path) -> Target:
    """Returns the data plane of a control plane, with certificates of files or of the agent in
    `state_dir`; raises Invalid for what is not an address."""
    try:
        checked = syntax.endpoint_address(address)
    except Invalid:
        raise Invalid(
            f'"{address}" is not the address of a data plane', "write HOST:PORT"
        ) from None
    fleet = Fleet(str(folder(state_dir)), "agent") if its is None else None
    return Target(checked, name or checked.rpartition(":")[0].strip("[]"), its, fleet)


def data_plane_command(request: DataPlaneRequest, state_dir: Path) -> list[str]:
    """Returns the command of the supervisor of a data plane without a control process."""
    gate = GateOptions(
        state_dir=str(state_dir),
        listen=request.listen,
        files=request.files,
        fleet=Fleet(str(link_folder(state_dir)), "dataplane") if request.master else None,
        master=request.master,
        control_names=request.control_names,
        metrics=request.metrics,
        admin_hosts=request.admin_hosts,
        log_level=request.log_level,
        user=request.user,
    )
    return supervisor_of(
        {
            "state_dir": str(state_dir),
            "workers": request.workers,
            "log_level": request.log_level,
            "control": [sys.executable, "-P", "-m", "headgate.node.gate", gate.encode()],
            "has_data_plane": True,
            "control_grace_s": CONTROL_GRACE_S,
            "fallback_s": 0.0,  # nobody who could bring a newer plan starts with it
            "user": request.user,
            "access_log": None,
        }
    )


def become_data_plane(request: DataPlaneRequest, state_dir: Path) -> None:
    """Replaces this process by the supervisor; raises OSError or RightsError."""
    become(data_plane_command(request, state_dir))


def become_control(options: Options, settings: NodeSettings) -> None:
    """Replaces this process by the control process; raises OSError or RightsError."""
    rights.give_up(settings.user, rights.Places(Path(options.state_dir)))
    options = msgspec.structs.replace(options, user=settings.user)
    replace_by([sys.executable, "-P", "-m", "headgate.node", options.encode()])
