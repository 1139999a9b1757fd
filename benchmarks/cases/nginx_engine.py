"""The nginx engine's own speeds: parsing, rendering, applying, drift, and following its log."""

import json
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from loads import Load, LoadError, saturate
from machine import LOAD_CPU, wait_until_quiet
from peers.base import Peer, Place, Setup
from peers.headgate import Headgate
from peers.nginx import Nginx
from results import Metrics
from running import PeerError, command_prefix, running
from workdir import HERE, free_port

from cases.base import Context

_BLOCKS = 5_000
_HOSTS = 1_000
_APPLIES = 5
_TAIL_S = 10.0
_TAIL_QUICK_S = 3.0
_TIMEOUT_S = 600.0
_KEPT: list[tempfile.TemporaryDirectory[str]] = []
"""Folders of earlier rounds. They are removed at the end of all: for minutes after thousands of
files were deleted, ext4 looks at each of their inodes for every file it creates beside them."""
_VARIABLES = "map $uri $hg_route { default app; } map $uri $hg_upstream { default up; }"


class LoggingNginx(Nginx):
    """nginx with the access log that our renderer gives it."""

    name = "nginx"

    def __init__(self, log_format: str) -> None:
        """`log_format`: the text of the format."""
        self._format = log_format

    def config_text(self, setup: Setup, place: Place) -> str:
        """nginx.conf."""
        text = super().config_text(setup, place)
        own = f"{_VARIABLES} map $uri $hg_listener {{ default web; }} log_format j escape=json"
        made = re.sub(
            r"log_format j escape=json '[^']*'", lambda _: f"{own} '{self._format}'", text
        )
        if made == text:
            raise PeerError("the peer's config has no log_format to replace")
        return made


@dataclass(frozen=True)
class NginxEngine:
    """The case."""

    name: str
    title: str
    rounds: int

    def refuses(self, peer: Peer) -> str:
        """It is about headgate, and needs nginx."""
        if not isinstance(peer, Headgate):
            return "measured for headgate alone"
        return Nginx().missing()

    def measure(self, peer: Peer, context: Context) -> dict[str, Metrics]:
        """One figure after the other."""
        if not isinstance(peer, Headgate):
            raise PeerError("measured for headgate alone")
        wait_until_quiet(1.0 if context.quick else 5.0)
        found: dict[str, Metrics] = {}
        kept = tempfile.TemporaryDirectory(prefix="hgb-")
        _KEPT.append(kept)
        folder = Path(kept.name)
        folder.chmod(0o755)
        configs = _configs(peer, folder, context)
        found["parse"] = _asked(peer, "parse", str(_BLOCKS))
        found["render"] = _asked(peer, "render", str(configs[0]))
        state = folder / "state"
        state.mkdir()
        found["apply"] = _asked(peer, "apply", str(state), *map(str, configs))
        found["tail"] = _tail(peer, context)
        return found


NGINX_ENGINE = NginxEngine(
    "nginx-engine", "nginx as an engine: parse, render, apply, drift, log tail", 5
)


def _configs(peer: Headgate, folder: Path, context: Context) -> list[Path]:
    """1,000 hosts, each time all of them changed."""
    pair = [folder / f"{name}.pem" for name in ("cert", "key", "both")]
    port = free_port()
    place = Place(folder, port, port, context.backend_port, *pair)
    configs = []
    for version in range(1, _APPLIES + 1):
        path = folder / f"{version}.toml"
        path.write_text(peer.config_text(Setup("hosts", _HOSTS, version=version), place))
        configs.append(path)
    return configs


def _tail(peer: Headgate, context: Context) -> Metrics:
    """nginx alone on its core and saturated; the log's reader shares the other with the load."""
    log_format = subprocess.run(
        [peer.python, "-P", HERE / "nginx_engine.py", "log-format"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    seconds = _TAIL_QUICK_S if context.quick else _TAIL_S
    setup = Setup(access_log=True)
    with running(LoggingNginx(log_format), setup, context.backend_port) as one:
        command = [peer.python, "-P", HERE / "nginx_engine.py"]
        with subprocess.Popen(
            [*command_prefix(LOAD_CPU), *command, "tail", str(one.place.access_log), f"{seconds}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as reader:
            saturate(one, Load(), seconds + 1)
            text, errors = reader.communicate(timeout=_TIMEOUT_S)
    if reader.returncode:
        raise LoadError(f"tail: {errors[-300:]}")
    found: Metrics = json.loads(text)
    if found["skipped"] or found["unread"]:
        raise LoadError(f"the reader did not keep up: {found}")
    return found


def _asked(peer: Headgate, *arguments: str) -> Metrics:
    # `-P` and our file by path: the package must be the installed one.
    done = subprocess.run(
        [*command_prefix(LOAD_CPU), peer.python, "-P", HERE / "nginx_engine.py", *arguments],
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise LoadError(f"{arguments[0]}: {done.stderr.strip()[-300:]}")
    found: Metrics = json.loads(done.stdout)
    return found
