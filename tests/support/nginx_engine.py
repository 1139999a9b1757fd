"""A real nginx on a config of ours: loaded, rendered, started; nothing applied, nothing watched."""

import functools
import os
import pwd
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Literal, Self

from peers import peer, unavailable
from waiting import DEADLINE_S, until

from headgate.compile.load import load
from headgate.compile.loaded import Loaded
from headgate.engines.nginx.capabilities.probe import Binary, probed
from headgate.engines.nginx.common.types import (
    CannotExpress,
    Capabilities,
    Generation,
    Mode,
    Rendered,
    Target,
)
from headgate.engines.nginx.observe.status import StatusError, generation
from headgate.engines.nginx.render import render
from headgate.providers.file.disk import DiskFiles


class NotRenderedError(Exception):
    """The config cannot be expressed; says what of it."""

    def __init__(self, found: list[CannotExpress]) -> None:
        super().__init__("; ".join(f"{f.kind} {f.name}: {f.path}: {f.message}" for f in found))
        self.found = found


@functools.cache
def capabilities() -> Capabilities:
    """What the nginx of this machine accepts; skips the test, or fails in CI, without one."""
    binary = Binary(str(peer("nginx")))
    return probed(binary, binary.build()).capabilities


def stream_capabilities() -> Capabilities:
    """The same of an nginx that proxies TCP, which on Debian is a package of its own."""
    found = capabilities()
    if not found.has("stream"):
        unavailable("nginx has no stream: sudo make system-deps")
    return found


def target(
    root: str,
    able: Capabilities,
    *,
    mode: Mode = "full",
    number: int = 1,
    user: str | None = None,
    system_roots: str | None = None,
) -> Target:
    """A target in a folder, with one worker."""
    return Target(
        capabilities=able,
        mode=mode,
        generation=Generation(number),
        root=root,
        pid_path=f"{root}/run/nginx.pid",
        status_socket=f"{root}/run/status.sock",
        access_log=f"{root}/logs/access.log",
        error_log=f"{root}/logs/error.log",
        user=user,
        workers=1,
        system_roots=system_roots,
    )


def loaded_file(config: Path) -> Loaded:
    """The config of a file, which must be right."""
    found = load([config], DiskFiles(), {})
    assert found.plan is not None, found.diagnostics
    return found


def expressed(found: Loaded, on: Target) -> Rendered:
    """The rendering of a config. Raises NotRenderedError."""
    assert found.plan is not None
    made = render(found.plan, found.blobs, on)
    if isinstance(made, list):
        raise NotRenderedError(made)
    return made


def write_release(made: Rendered, root: Path) -> Path:
    """Writes a release as `root/current`; its folder."""
    folder = root / "current"
    for file in made.files:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
        path.chmod(file.mode)
    (root / "run").mkdir(exist_ok=True)
    (root / "logs").mkdir(exist_ok=True)
    return folder


def worker_user() -> str | None:
    """Whom workers run as where the master is root, so that they reach the sockets of tests."""
    return pwd.getpwuid(0).pw_name if os.geteuid() == 0 else None


def checked(folder: Path, conf: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """`nginx -t` on a release, or on another config in the folder above it."""
    log = folder.parent / "logs" / "test.log"
    entry = conf or folder / "nginx.conf"
    words = [str(peer("nginx")), "-t", "-c", str(entry), "-p", f"{folder}/", "-e", str(log)]
    return subprocess.run(words, capture_output=True, text=True, timeout=DEADLINE_S, check=False)


class NginxEngine:
    """nginx that serves a config; use as a context manager, so that it ends with the test."""

    def __init__(
        self, config: Path | Loaded, root: Path, endpoints: Literal["reload", "lua"] = "reload"
    ) -> None:
        """`root`: an empty folder whose path is short. Raises NotRenderedError."""
        self.root = root
        self.loaded = config if isinstance(config, Loaded) else loaded_file(config)
        on = target(str(root), capabilities(), user=worker_user())
        self.target = replace(on, endpoints=endpoints)
        self.rendered = expressed(self.loaded, self.target)
        self.folder = write_release(self.rendered, root)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        words = [str(peer("nginx")), "-c", str(self.folder / "nginx.conf"), "-p", f"{self.folder}/"]
        words += ["-e", self.target.error_log, "-g", "daemon off;"]
        self._process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        until(self._serves, "nginx")
        return self

    def _serves(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.error_log()
        try:
            return generation(self.target.status_socket).generation == self.target.generation
        except StatusError:
            return False

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(DEADLINE_S)
        sys.stdout.write(self.error_log())  # shown when the test fails

    def error_log(self) -> str:
        """What nginx said."""
        path = Path(self.target.error_log)
        return path.read_text(errors="replace") if path.exists() else ""
