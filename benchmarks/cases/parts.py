"""Parts of headgate by themselves: the codec of HTTP/2 beside nghttp2, and a breaker's check."""

import json
import re
import subprocess
from pathlib import Path

from loads import LoadError
from peers.headgate import Headgate
from results import Metrics
from running import PeerError
from workdir import ROOT, compile_c

from cases.programs import Program, Run, printed, python

_BUILD_S = 1800.0
_CODEC = re.compile(
    r"(?m)^(?:server, )?(\d+) fields(?:, 8 per read)?: "
    r"([0-9.]+) ns \(median ([0-9.]+)\), ([0-9.]+) allocations$"
)
_BREAKER = re.compile(r"(?m)^breaker, (check|check and result): ([0-9.]+) ns$")


def codec_figures(text: str) -> dict[str, Metrics]:
    """Parses the output of `codec.c` or the bench of hg-h2: nanoseconds of one request, by its
    fields."""
    found = {
        fields: {"ns": float(median), "best_ns": float(best), "allocations": float(made)}
        for fields, best, median, made in _CODEC.findall(text)
    }
    if set(found) != {"5", "19"}:
        raise LoadError(f"the codec's bench says {text[-300:]!r}")
    return found


def breaker_figures(text: str) -> Metrics:
    """Parses the output of the bench of hg-resilience."""
    found = dict(_BREAKER.findall(text))
    if set(found) != {"check", "check and result"}:
        raise LoadError(f"the breaker's bench says {text[-300:]!r}")
    return {"check_ns": float(found["check"]), "result_ns": float(found["check and result"])}


def _codec(_: Headgate) -> Run:
    ours, theirs = _bench("hg-h2", "exchange"), compile_c("codec")

    def run() -> dict[str, Metrics]:
        beside = codec_figures(printed([theirs]))
        own = codec_figures(printed([ours, "--bench", "8 per read"]))
        for fields, figures in own.items():
            figures |= {f"nghttp2_{name}": figure for name, figure in beside[fields].items()}
        return own

    return run


def _breaker(peer: Headgate) -> Run:
    program = _bench("hg-resilience", "breaker")

    def run() -> dict[str, Metrics]:
        core = breaker_figures(printed([program, "--bench"]))
        return {"core": core, "python": json.loads(printed(python(peer, "breaker.py")))}

    return run


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


CODEC = Program(
    "codec", "the codec of HTTP/2 alone, one request, beside nghttp2", _codec, rounds=100
)
BREAKER = Program("breaker", "a closed breaker, one check", _breaker, rounds=100)
