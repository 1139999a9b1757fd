"""Sōzu, built from its crate into the work folder when wanted."""

import json
import os
import shutil
import signal
import subprocess

from machine import DESCRIPTORS, PROXY_CPU, pin, tree
from workdir import WORK

from peers.base import Place, Processes, Setup

_ROOT = WORK / "cargo"
_BIN = _ROOT / "bin" / "sozu"
_MOST = DESCRIPTORS // 2 - 500
"""It does not start if its connections might need more descriptors than it may have."""
#: `splice` moves bytes of TCP within the kernel, as the others do; it is off by default.
_BUILD = ["cargo", "install", "sozu", "--locked", "--features", "splice", "--quiet", "--root"]


class Sozu:
    """Sōzu's newest release."""

    name = "sozu"

    def missing(self) -> str:
        """Builds it the first time, which takes minutes."""
        if _BIN.exists():
            return ""
        if shutil.which("cargo") is None:
            return "cargo is not installed"
        done = subprocess.run([*_BUILD, _ROOT], capture_output=True, text=True, check=False)
        return "" if done.returncode == 0 else f"does not build: {done.stderr.strip()[-200:]}"

    def version(self) -> str:
        """`sozu --version`."""
        done = subprocess.run([_BIN, "--version"], capture_output=True, text=True, check=False)
        return done.stdout.splitlines()[0] if done.stdout else "sozu"

    def refuses(self, setup: Setup) -> str:
        """It is compared with in TCP."""
        return "" if setup.relay == "tcp" else "it is compared with in TCP alone"

    def command(self, setup: Setup, place: Place) -> list[str]:
        """Writes sozu.toml; one worker beside its main process."""
        path = place.folder / "sozu.toml"
        path.write_text(self.config_text(setup, place))
        return [str(_BIN), "start", "-c", str(path)]

    def config_text(self, setup: Setup, place: Place) -> str:
        """sozu.toml; its idle timeouts are as long as everybody's."""
        address = json.dumps(f"127.0.0.1:{place.http_port}")
        return f"""\
log_level = "error"
log_target = "stdout"
command_socket = "{place.folder}/sozu.sock"
worker_count = 1
worker_automatic_restart = false
max_connections = {_MOST}
max_buffers = {2 * _MOST}
front_timeout = 600
back_timeout = 600
activate_listeners = true

[[listeners]]
protocol = "tcp"
address = {address}

[clusters.b]
protocol = "tcp"
frontends = [{{ address = {address} }}]
backends = [{{ address = "127.0.0.1:{place.backend_port}" }}]
"""

    def processes(self, pid: int, place: Place) -> Processes:
        """Its worker is a child of the main process."""
        whole = tree(pid)
        pin(whole, PROXY_CPU)
        return Processes(whole[1:], whole)

    def reload(self, pid: int, setup: Setup, place: Place) -> None:
        """Refused by `refuses`."""
        os.kill(pid, signal.SIGTERM)
