"""From a config to nginx text for one instance: what `render` and `diff` share."""

import os
import pwd
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final

from headgate.compile.load import load
from headgate.compile.loaded import Loaded
from headgate.compile.located import located
from headgate.engines.nginx.capabilities import Binary, probe
from headgate.engines.nginx.render import render
from headgate.engines.nginx.setup import system_roots
from headgate.engines.nginx.types import CannotExpress, Generation, Rendered, Target
from headgate.kernel.diagnostics import Diagnostic
from headgate.providers.file.disk import DiskFiles

BINARY: Final = "/usr/sbin/nginx"
_USERS: Final = ("www-data", "nginx", "nobody")


class BadConfigError(Exception):
    """The config is refused, or this nginx cannot do it; `diagnostics` say where and why."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        super().__init__(f"{len(diagnostics)} problems")
        self.diagnostics = tuple(diagnostics)


@dataclass(frozen=True, slots=True)
class Written:
    """A config as nginx text, with what it was made from."""

    loaded: Loaded
    rendered: Rendered


def written(
    configs: Sequence[PurePath], root: Path, binary: str | None, generation: int
) -> Written:
    """Renders the config at these paths for the instance whose folder is `root`.

    `binary` None = as the config says, else the usual one; it is asked what it accepts. Raises
    BadConfigError, and what the probe raises (NotProbedError, OSError, RightMissingError).
    """
    loaded = load(list(configs), DiskFiles(), os.environ)
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
    rendered = render(loaded.plan, loaded.blobs, target)
    if not isinstance(rendered, Rendered):
        raise BadConfigError(inexpressible(loaded, rendered))
    return Written(loaded, rendered)


def inexpressible(loaded: Loaded, found: Sequence[CannotExpress]) -> tuple[Diagnostic, ...]:
    """What this nginx cannot do, where the user wrote it."""
    problems = [(one.kind, one.name, one.path, one.message) for one in found]
    return located(loaded, problems)


def _user() -> str | None:
    """Whom workers run as: None unless we are root, since only a root master changes user."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next((user for user in _USERS if user in known), None)
