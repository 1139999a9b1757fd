"""Parts of headgate by themselves: the codec of HTTP/2 beside nghttp2, and a breaker's check."""

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from loads import LoadError
from machine import PROXY_CPU, wait_until_quiet
from peers.base import Peer
from peers.headgate import Headgate
from results import Metrics
from running import PeerError, command_prefix
from workdir import HERE, ROOT, compile_c

from cases.base import Context

_TIMEOUT_S = 120.0
_BUILD_S = 1800.0
_CODEC = re.compile(
    r"(?m)^(?:server, )?(\d+) fields(?:, 8 per read)?: "
    r"([0-9.]+) ns \(median ([0-9.]+)\), ([0-9.]+) allocations$"
)
_BREAKER = re.compile(r"(?m)^breaker, (check|check and result): ([0-9.]+) ns$")


@dataclass(frozen=True)
class Parts:
    """A case of programs that measure themselves, on the proxy's core and without a proxy."""

    name: str
    title: str
    rounds: int
    part: Literal["codec", "breaker"]

    def refuses(self, peer: Peer) -> str:
        """It is about headgate; nghttp2 is beside it in the same run."""
        return "" if isinstance(peer, Headgate) else "measured for headgate alone"

    def measure(self, peer: Peer, context: Context) -> dict[str, Metrics]:
        """One program after the other. Raises LoadError, PeerError."""
        if not isinstance(peer, Headgate):
            raise PeerError("measured for headgate alone")
        programs = _codec if self.part == "codec" else _breaker
        return programs(peer, context)


CODEC = Parts("codec", "the codec of HTTP/2 alone, one request, beside nghttp2", 100, "codec")
BREAKER = Parts("breaker", "a closed breaker, one check", 100, "breaker")


def codec_figures(text: str) -> dict[str, Metrics]:
    """What `codec.c` or the bench of hg-h2 printed: nanoseconds of one request, by its fields."""
    found = {
        fields: {"ns": float(median), "best_ns": float(best), "allocations": float(made)}
        for fields, best, median, made in _CODEC.findall(text)
    }
    if set(found) != {"5", "19"}:
        raise LoadError(f"the codec's bench says {text[-300:]!r}")
    return found


def breaker_figures(text: str) -> Metrics:
    """What the bench of hg-resilience printed."""
    found = dict(_BREAKER.findall(text))
    if set(found) != {"check", "check and result"}:
        raise LoadError(f"the breaker's bench says {text[-300:]!r}")
    return {"check_ns": float(found["check"]), "result_ns": float(found["check and result"])}


def _codec(_: Headgate, context: Context) -> dict[str, Metrics]:
    ours, theirs = _bench("hg-h2", "exchange"), compile_c("codec")
    wait_until_quiet(1.0 if context.quick else 5.0)
    beside = codec_figures(_output([theirs]))
    own = codec_figures(_output([ours, "--bench", "8 per read"]))
    for fields, figures in own.items():
        figures |= {f"nghttp2_{name}": figure for name, figure in beside[fields].items()}
    return own


def _breaker(peer: Headgate, context: Context) -> dict[str, Metrics]:
    program = _bench("hg-resilience", "breaker")
    wait_until_quiet(1.0 if context.quick else 5.0)
    core = breaker_figures(_output([program, "--bench"]))
    # `-P` and our file by path: the package must be the installed one.
    python: Metrics = json.loads(_output([peer.python, "-P", HERE / "breaker.py"]))
    return {"core": core, "python": python}


def _bench(crate: str, name: str) -> Path:
    """The program of a crate's bench, which cargo builds if it has to. Raises PeerError."""
    options = ["--locked", "--no-run", "--message-format=json", "--package", crate]
    done = subprocess.run(
        ["cargo", "bench", "--quiet", *options, "--bench", name],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=_BUILD_S,
        check=False,
    )
    messages = (json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))
    for one in messages:
        if one.get("executable") and one.get("target", {}).get("name") == name:
            return Path(one["executable"])
    raise PeerError(f"cargo bench of {crate} does not build: {done.stderr.strip()[-300:]}")


def _output(command: list[str | Path]) -> str:
    done = subprocess.run(
        [*command_prefix(PROXY_CPU), *command],
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise LoadError(f"{Path(command[0]).name}: {done.stderr.strip()[-300:]}")
    return done.stdout
