"""Aegis (lazzerex/aegis), the layer-4 proxy of the founding documents: its Rust data plane.

It is in no registry: AEGIS_SOURCE names a checkout of its repository, from which it is built into
the work folder. Its own control plane is not needed, because its one call is made here.
"""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from machine import PROXY_CPU, pin, tree
from workdir import WORK

from peers.base import Place, Processes, Setup

_ROOT = WORK / "cargo"
_BIN = _ROOT / "bin" / "aegis-data"
_SOURCE = os.environ.get("AEGIS_SOURCE", "")
_STARTER = Path(__file__).with_name("aegis_start.py")
_BUILD = ["cargo", "install", "--quiet", "--root", str(_ROOT), "--path"]


class Aegis:
    """The data plane of that checkout."""

    name = "aegis"

    def missing(self) -> str:
        """Builds it the first time."""
        if not Path(_SOURCE, "proto", "proxy.proto").is_file():
            return "AEGIS_SOURCE does not name a checkout of its repository"
        if _BIN.exists():
            return ""
        if shutil.which("cargo") is None:
            return "cargo is not installed"
        protoc = WORK / "protoc"
        protoc.write_text(f'#!/bin/sh\nexec {sys.executable} -m grpc_tools.protoc "$@"\n')
        protoc.chmod(0o755)
        done = subprocess.run(
            [*_BUILD, f"{_SOURCE}/data-plane"],
            env=os.environ | {"PROTOC": str(protoc)},
            capture_output=True,
            text=True,
            check=False,
        )
        return "" if done.returncode == 0 else f"does not build: {done.stderr.strip()[-200:]}"

    def version(self) -> str:
        """The commit of the checkout; the program does not say a version."""
        command = ["git", "-C", _SOURCE, "rev-parse", "--short", "HEAD"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return f"aegis {done.stdout.strip()}"

    def refuses(self, setup: Setup) -> str:
        """It passes TCP and UDP on, and nothing else."""
        return "" if setup.relay else "it has layer 4 alone"

    def command(self, setup: Setup, place: Place) -> list[str]:
        """Its starter, which gives it the config; one thread carries traffic."""
        environment = [
            "TOKIO_WORKER_THREADS=1",
            "RUST_LOG=off",
            f"AEGIS_METRICS_ADDR=127.0.0.1:{place.tls_port}",
        ]
        ports = [str(place.http_port), str(place.backend_port)]
        return ["env", *environment, sys.executable, str(_STARTER), str(_BIN), _SOURCE, *ports]

    def config_text(self, setup: Setup, place: Place) -> str:
        """Returns a description of what the starter sends."""
        return (
            f"UpdateConfig: TCP and UDP at 127.0.0.1:{place.http_port}, one backend "
            f"127.0.0.1:{place.backend_port}, round robin, its limits out of reach\n"
        )

    def processes(self, pid: int, place: Place) -> Processes:
        """The data plane is a child of the starter."""
        whole = tree(pid)
        pin(whole, PROXY_CPU)
        return Processes(whole[1:], whole[1:])

    def reload(self, pid: int, setup: Setup, place: Place) -> None:
        """Nobody asks for it: `refuses` leaves layer 4 alone."""
        os.kill(pid, signal.SIGTERM)
