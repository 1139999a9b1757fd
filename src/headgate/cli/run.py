"""`headgate run`: checks what it was given, then becomes the supervisor.

The process that systemd or Docker addresses must stay small and must not fail. So this module reads
the config once, for its `[node]` and to refuse it before any change, leaves a fork to be the first
control process, and then replaces the process by one that has only the supervisor in it.
"""

import compileall
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import headgate
from headgate.cli import early, rights
from headgate.cli.reading import read as read_config
from headgate.compile.emptiness import emptiness
from headgate.compile.settings import NodeSettings
from headgate.kernel.diagnostics import render_text
from headgate.node.options import Options

_BOOT = (
    "import sys; sys.path.append(sys.argv[1]); "
    "from headgate.supervisor.%s import main; sys.exit(main())"
)
_PREFIX = "PROXY_"
CONTROL_GRACE_S = 3.0


@dataclass(frozen=True, slots=True)
class RunRequest:
    """The options of the command line; None = as the config says."""

    configs: list[Path]
    workers: int | None
    admin: list[str] | None
    metrics: list[str] | None
    admin_hosts: list[str]
    log_level: str | None
    watch: bool
    engine: Literal["native", "nginx"] | None = None
    master: str | None = None
    name: str = ""
    upgrade_command: Path | None = None
    instance: str = ""
    agent_dir: str = ""
    """The agent that this is an instance of; both are empty for a separate node."""


def has_environment_config(environment: Mapping[str, str]) -> bool:
    """Reports whether environment variables alone are the config."""
    return any(name.startswith(_PREFIX) for name in environment)


def node_settings(configs: list[Path], *, may_be_empty: bool = False) -> NodeSettings | None:
    """Returns the `[node]` of a config; None after its errors were printed."""
    loaded = read_config([path.absolute() for path in configs], os.environ)
    name = str(configs[0]) if configs else "environment"
    empty = () if may_be_empty else emptiness(loaded, name)
    if loaded.node is None or empty:
        sys.stderr.write(render_text((*loaded.diagnostics, *empty)))
        return None
    return loaded.node


def supervisor_command(request: RunRequest, settings: NodeSettings, state_dir: Path) -> list[str]:
    """Returns the command that this process becomes."""
    engine = request.engine or settings.engine
    drain_s = settings.drain_s if engine == "nginx" else 0.0
    options = Options(
        state_dir=str(state_dir),
        configs=[str(path.absolute()) for path in request.configs],
        admin=request.admin,
        metrics=request.metrics,
        admin_hosts=request.admin_hosts,
        log_level=request.log_level,
        workers=request.workers,
        watch=request.watch,
        engine=engine,
        engine_is_forced=request.engine is not None,
        user=settings.user,
        master=request.master,
        name=request.name,
        upgrade_command=None if request.upgrade_command is None else str(request.upgrade_command),
        instance=request.instance,
        agent_dir=request.agent_dir,
        title=settings.title or "",
        labels=dict(settings.labels),
    )
    control = [sys.executable, "-P", "-m", "headgate.node", options.encode()]
    supervisor: dict[str, object] = {
        "state_dir": str(state_dir),
        "workers": request.workers or settings.workers,
        "log_level": request.log_level or settings.log_level,
        "control": control,
        "has_data_plane": engine == "native",
        "control_grace_s": drain_s + CONTROL_GRACE_S,
        "user": settings.user,
        "access_log": settings.access_log,
        "instance": request.instance,
    }
    if engine == "nginx":
        from headgate.node import nginx_rights  # with modules that a native node does not load

        supervisor["keeps"] = sorted(nginx_rights.kept_for(settings.nginx))
    return supervisor_of(supervisor)


def compile_supervisor(packages: Path) -> None:
    """Writes the bytecode of the supervisor where it is missing and may be written.

    Compiling leaves 1 MB behind that the process never gives back. Installers that write no
    bytecode, and checkouts, would have the supervisor pay that for as long as it runs.
    """
    compileall.compile_dir(packages / "headgate" / "supervisor", quiet=2)


def supervisor_of(told: Mapping[str, object], module: str = "__main__") -> list[str]:
    """Returns the command of a supervisor with these options."""
    packages = str(Path(headgate.__path__[0]).parent)
    return [sys.executable, "-I", "-S", "-c", _BOOT % module, packages, json.dumps(told)]


def become(command: list[str]) -> None:
    """Gives up what serving does not need and replaces this process; does not return.

    Raises OSError if that is not possible, RightsError if it cannot become the required user.
    """
    told = json.loads(command[-1])
    log = told["access_log"]
    if told["has_data_plane"]:
        rights.give_up(
            told["user"], rights.Places(Path(told["state_dir"]), Path(log) if log else None)
        )
    else:
        rights.keep_for_nginx(told["keeps"], told["user"])
    compile_supervisor(Path(command[-2]))
    replace_by(command, told["control"])


def become_agent(command: list[str]) -> None:
    """Replaces this process by that of an agent with several instances; does not return. It keeps
    the rights that driving any nginx takes, for instances that are added later. Raises OSError."""
    from headgate.node import nginx_rights

    rights.keep_for_nginx(nginx_rights.kept_by_agent(), None)
    compile_supervisor(Path(command[-2]))
    replace_by(command)


def replace_by(command: list[str], control: list[str] | None = None) -> None:
    """Replaces this process, and leaves it a child to be the control process that the command
    `control` would start; does not return. Raises OSError."""
    sys.stdout.flush()
    sys.stderr.flush()
    # For the control process: gRPC logs in a form of its own what we log as events.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    if control is not None and (waiting := early.fork(control)) is not None:
        command = [*command[:-1], json.dumps({**json.loads(command[-1]), "early": waiting})]
    os.execv(command[0], command)  # noqa: S606 - our own interpreter, no shell
