"""Cases without traffic: programs that time parts of headgate on the proxy's core."""

import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from loads import LoadError
from machine import PROXY_CPU, Window, wait_until_quiet
from peers.base import Peer
from peers.headgate import Headgate
from results import Metrics
from running import PeerError, command_prefix
from workdir import HERE, WORK

from cases.base import NOISE, Context

_CRATE = HERE / "primitives"
_BUILT = WORK / "primitives"
_BUILD_S = 1800
_RUN_S = 300
_ATTEMPTS = 2


Run = Callable[[], dict[str, Metrics]]


@dataclass(frozen=True)
class Program:
    """Programs that measure themselves; `made` makes them and returns what runs them once."""

    name: str
    title: str
    made: Callable[[Headgate], Run]
    rounds: int = 1_000

    def refuses(self, peer: Peer) -> str:
        """It is about headgate."""
        return "" if isinstance(peer, Headgate) else "measured for headgate alone"

    def measure(self, peer: Peer, context: Context) -> dict[str, Metrics]:
        """One run; a noisy one is repeated once. Raises LoadError, PeerError."""
        if not isinstance(peer, Headgate):
            raise PeerError("measured for headgate alone")
        run = self.made(peer)
        found: dict[str, Metrics] = {}
        for _ in range(_ATTEMPTS):
            wait_until_quiet(1.0 if context.quick else 5.0)
            window = Window([], [], [context.backend_pid])
            found = run()
            foreign = window.close()["foreign"]
            for figures in found.values():
                figures["noisy"] = float(foreign > NOISE)
            if foreign <= NOISE:
                break
        return found


def printed(command: Sequence[str | Path]) -> str:
    """Runs a program on the proxy's core; raises LoadError."""
    return _printed([*command_prefix(PROXY_CPU), *command], _RUN_S)


def python(peer: Headgate, name: str) -> list[str | Path]:
    """The command of a file of ours under the headgate that is measured."""
    # `-P` and our file by path: the package must be the installed one.
    return [peer.python, "-P", HERE / name]


def _printed(command: Sequence[str | Path], seconds: float) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    if done.returncode:
        raise LoadError(f"{Path(command[0]).name}: {done.stderr.strip()[-300:]}")
    return done.stdout


def _primitives(_: Headgate) -> Run:
    """Built with all optimisations, as the wheel is; nothing to do when it is up to date."""
    manifest = ["--manifest-path", _CRATE / "Cargo.toml", "--target-dir", _BUILT]
    _printed(["cargo", "build", "--release", "--locked", "--quiet", *manifest], _BUILD_S)
    return lambda: _figures([_BUILT / "release" / "headgate-primitives"])


def _library(peer: Headgate) -> Run:
    return lambda: _figures(python(peer, "library_speed.py"))


def _figures(command: Sequence[str | Path]) -> dict[str, Metrics]:
    """JSON: by variant and by who does it, millions in a second."""
    found: dict[str, Metrics] = json.loads(printed(command))
    return found


PRIMITIVES = Program(
    "primitives",
    "limits and look-ups beside governor, matchit and regex, millions a second, one core",
    _primitives,
)
LIBRARY = Program(
    "library", "RateLimiter.check and Router.match from Python, millions a second", _library
)
