"""Renders a config as nginx text for one instance: what `render` and `diff` share."""

import os
import pwd
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Final

import msgspec

from headgate.cli.reading import read as read_config
from headgate.compile.loaded import Loaded
from headgate.compile.located import located
from headgate.engines.nginx.capabilities import Binary, NotProbedError, probe
from headgate.engines.nginx.common.types import (
    CannotExpress,
    Generation,
    Rendered,
    RightMissingError,
    Target,
)
from headgate.engines.nginx.drive.imported import render_config
from headgate.engines.nginx.drive.setup import system_roots
from headgate.kernel.diagnostics import Diagnostic, Severity
from headgate.model.environment import for_engine
from headgate.plan.plan import Plan

if TYPE_CHECKING:
    from headgate.engines.nginx.upkeep.standing import Standing

Stands = Callable[[Path, Plan], "Standing"]
"""Tells how the endpoints of a plan stand at the instance whose folder that is."""

BINARY: Final = "/usr/sbin/nginx"
_NOWHERE: Final = Path("/nonexistent")
"""The folder of an instance that there is none of: nothing is written."""
_USERS: Final = ("www-data", "nginx", "nobody")


class BadConfigError(Exception):
    """The config is refused, or this nginx cannot do it; `diagnostics` say where and why."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        super().__init__(f"{len(diagnostics)} problems")
        self.diagnostics = tuple(diagnostics)


@dataclass(frozen=True, slots=True)
class Written:
    """A config as nginx text, with its sources."""

    loaded: Loaded
    rendered: Rendered


def written(
    configs: Sequence[PurePath],
    root: Path,
    binary: str | None,
    generation: int,
    stands: Stands | None = None,
) -> Written:
    """Renders the config at these paths for the instance whose folder is `root`.

    `binary` None = as the config says, else the usual one; it says what it accepts. `stands` tells
    how its endpoints stand there; None = all of them take requests, and nginx resolves their names.
    Raises BadConfigError, and what the probe raises (NotProbedError, OSError, RightMissingError).
    """
    env = for_engine(os.environ, "nginx")
    return written_from(read_config(list(configs), env), root, binary, generation, stands)


def written_from(
    loaded: Loaded,
    root: Path,
    binary: str | None,
    generation: int,
    stands: Stands | None = None,
) -> Written:
    """Returns the same from a config that is loaded; raises the same."""
    if loaded.plan is None or loaded.node is None:
        raise BadConfigError(loaded.errors)
    settings = loaded.node.nginx
    path = binary or settings.binary or BINARY
    capabilities = probe(Binary(path), root if root.is_dir() else None).capabilities
    target = Target(
        capabilities=capabilities,
        mode=settings.mode,
        generation=Generation(generation),
        root=str(root),
        pid_path=f"{root}/run/nginx.pid",
        status_socket=f"{root}/run/status.sock",
        access_log=f"{root}/logs/access.log",
        error_log=f"{root}/logs/error.log",
        user=settings.user or _user(),
        workers=loaded.node.workers,
        system_roots=system_roots(),
        shutdown_timeout_s=settings.shutdown_timeout_s,
        endpoints=settings.endpoints,
    )
    if stands is not None:
        addresses, out = stands(root, loaded.plan)
        target = replace(target, addresses=addresses, out=out)
    rendered = render_config(loaded.plan, loaded.blobs, target, settings.imported)
    if not isinstance(rendered, Rendered):
        raise BadConfigError(inexpressible(loaded, rendered))
    return Written(loaded, rendered)


def refused(loaded: Loaded) -> tuple[Diagnostic, ...]:
    """Returns what the nginx that the config names would refuse of it.

    A warning where there is none to ask: then only running it can tell.
    """
    settings = loaded.node.nginx if loaded.node is not None else None
    if loaded.plan is None or settings is None or settings.mode == "observe":
        return ()
    try:
        written_from(loaded, _NOWHERE, None, 1)
    except BadConfigError as error:
        return error.diagnostics
    except (NotProbedError, RightMissingError, OSError) as error:
        ((place, *_),) = (located(loaded, [("settings", "node", "nginx.binary", "")]),)
        message = f"what nginx refuses of this config is not known: {_why(error)}"
        allowed = "name an nginx that runs here as `binary`, or check where it runs"
        return (
            msgspec.structs.replace(
                place, message=message, allowed=allowed, severity=Severity.WARNING
            ),
        )
    return ()


def _why(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {(error.strerror or '').lower()}"
    return str(error)


def inexpressible(loaded: Loaded, found: Sequence[CannotExpress]) -> tuple[Diagnostic, ...]:
    """Returns what this nginx cannot do, where the user wrote it."""
    problems = [(one.kind, one.name, one.path, f"{one.message} (engine nginx)") for one in found]
    allowed = 'change it, or write `engine = "native"` in [node]'
    return tuple(msgspec.structs.replace(one, allowed=allowed) for one in located(loaded, problems))


def _user() -> str | None:
    """Returns the workers' user: None unless we are root, since only a root master changes user."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next((user for user in _USERS if user in known), None)
