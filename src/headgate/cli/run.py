"""`headgate run`: checks what it was given, then becomes the supervisor.

The process that systemd or Docker addresses must stay small and must not be what fails. So the
config is read here once, for its `[node]` and to refuse it before anything is touched, and then
this process replaces itself by one that has only the supervisor in it.
"""

import ctypes
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import headgate
from headgate.compile.emptiness import emptiness
from headgate.compile.load import load
from headgate.compile.settings import NodeSettings
from headgate.kernel.diagnostics import render_text
from headgate.node.options import Options
from headgate.providers.file.disk import DiskFiles

_BOOT = (
    "import sys; sys.path.append(sys.argv[1]); "
    "from headgate.supervisor.__main__ import main; sys.exit(main())"
)
_PREFIX = "PROXY_"
_CONTROL_GRACE_S = 3.0
_PR_SET_NO_NEW_PRIVS = 38


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What the command line asks for; None = as the config says."""

    configs: list[Path]
    workers: int | None
    admin: list[str] | None
    metrics: list[str] | None
    admin_hosts: list[str]
    log_level: str | None
    watch: bool
    engine: Literal["native", "nginx"] | None = None


def has_environment_config(environment: Mapping[str, str]) -> bool:
    """Whether environment variables alone are the config."""
    return any(name.startswith(_PREFIX) for name in environment)


def node_settings(configs: list[Path]) -> NodeSettings | None:
    """The `[node]` of a config; None after its errors were printed."""
    loaded = load([path.absolute() for path in configs], DiskFiles(), os.environ)
    empty = emptiness(loaded, str(configs[0]) if configs else "environment")
    if loaded.node is None or empty:
        sys.stderr.write(render_text((*loaded.diagnostics, *empty)))
        return None
    return loaded.node


def supervisor_command(request: RunRequest, settings: NodeSettings, state_dir: Path) -> list[str]:
    """The command that this process becomes."""
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
    )
    control = [sys.executable, "-P", "-m", "headgate.node", options.encode()]
    supervisor = {
        "state_dir": str(state_dir),
        "workers": request.workers or settings.workers,
        "log_level": request.log_level or settings.log_level,
        "control": control,
        "has_data_plane": engine == "native",
        "control_grace_s": drain_s + _CONTROL_GRACE_S,
    }
    packages = str(Path(headgate.__path__[0]).parent)
    return [sys.executable, "-I", "-S", "-c", _BOOT, packages, json.dumps(supervisor)]


def _gain_nothing() -> None:
    """No process of ours ever gets more rights than this one has, by whatever it executes.

    Not where nginx serves: its tests may need a helper that gains some. A kernel that cannot is
    no reason not to serve.
    """
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        why = os.strerror(ctypes.get_errno())
        sys.stderr.write(f"headgate: warning: NoNewPrivs cannot be set: {why}\n")


def become(command: list[str]) -> None:
    """Replaces this process; does not return. Raises OSError if that is not possible."""
    sys.stdout.flush()
    sys.stderr.flush()
    # For the control process: gRPC logs in a form of its own what we log as events.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    if json.loads(command[-1])["has_data_plane"]:
        _gain_nothing()
    os.execv(command[0], command)  # noqa: S606 - our own interpreter, no shell
