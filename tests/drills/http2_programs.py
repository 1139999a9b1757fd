"""Public programs that try HTTP/2, at a node: `python tests/drills/http2_programs.py`.

h2spec (RFC 7540 and 7541, over TLS and in clear), httpwg (RFC 9113, in clear) and http2smugl
(requests that an endpoint might read as two, over TLS) are looked for on the path;
docs/internals/http2-suites.md says where they come from. The drill prints a table and each case
that the node does not pass. It ends with 1 if one is not among `EXPECTED`: what differs there,
and why, stands on that page.
"""

import csv
import html
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from ports import free_port
from running_node import RunningNode
from tls_authority import Authority

from headgate.testing.upstream import Upstream

_OPEN = (
    "detect content length parsing: no header smuggling",
    "detect if zero body fragment interrupts chunked body: no header smuggling",
)
EXPECTED: Final = {
    "httpwg in clear": {
        "RFC 9113 :: 5. streams and multiplexing :: sends smaller stream identifier",
        "RFC 9113 :: 7. error codes :: sends goaway frame with unknown error code",
    },
    "http2smugl over TLS": {
        f"{method}, {one}" for method in ("GET", "POST", "OPTIONS") for one in _OPEN
    },
}
"""Cases that the node need not pass, by program and way."""
_CONFIG: Final = """
[node]
admin = "off"
workers = 1

[listeners.clear]
address = "127.0.0.1:{clear}"
default = true
protocol = "http"
h2c = true

[listeners.secure]
address = "127.0.0.1:{secure}"
default = true
tls = {{ mode = "terminate" }}

[hosts.localhost]
certificate = "a"
{pair}
# An answer that is over before the case is would hide what is wrong with its last frame.
[middlewares.later]
fault = {{ delay = "20ms" }}

[routes.all]
hosts = ["*"]
middlewares = ["later"]
upstream = "app"

[upstreams.app]
endpoints = ["{upstream}"]
"""


@dataclass(frozen=True)
class Result:
    """What a program said of the node."""

    cases: int
    failed: dict[str, str]
    """What it expected and what came, by the name of the case."""


@dataclass(frozen=True)
class Ports:
    """Where the node listens."""

    clear: int
    secure: int


def _program(name: str) -> str:
    """Where a program is. Raises RuntimeError without it."""
    found = shutil.which(name)
    if found is None:
        raise RuntimeError(f"{name} is not on the path")
    return found


def _said(*command: str, **environment: str) -> str:
    env = os.environ | environment
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    return re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)


def h2spec(port: int, *options: str) -> Result:
    """All of its cases, the strict ones too."""
    with tempfile.TemporaryDirectory(prefix="hg-") as folder:
        report = Path(folder) / "report.xml"
        where = ("-h", "localhost", "-p", str(port), "--strict", "-j", str(report))
        _said(_program("h2spec"), *where, *options)
        return _reported(report.read_text())


def _reported(report: str) -> Result:
    """A report in the form of JUnit."""
    cases, failed = 0, {}
    for case in report.split("<testcase ")[1:]:
        named = dict(re.findall(r'(\w+)="([^"]*)"', case.partition(">")[0]))
        cases += 1
        found = re.search(r"<(failure|error|skipped)[^>]*>(.*?)</\1>", case, re.DOTALL)
        if found is not None:
            name = html.unescape(f"{named['package']}: {named['classname']}")
            failed[name] = " ".join(html.unescape(found[2]).split()) or found[1]
    return Result(cases, failed)


def httpwg(ports: Ports) -> Result:
    """Its cases, one after the other."""
    address = f"127.0.0.1:{ports.clear}"
    said = _said(_program("httpwg"), "-v", "-a", address, SEQUENTIAL="1")
    begun = re.findall(r"Running test: (.+)", said)
    passed = re.findall(r"Test passed: (.+)", said)
    told = re.findall(r"Test failed: (.+)\n\s*0: (.+)", said)
    failed = dict.fromkeys(set(begun) - set(passed), "panicked") | dict(told)
    return Result(len(begun), failed)


def http2smugl(ports: Ports) -> Result:
    """Ways of hiding a length or a coding; one fails where it changes what comes back."""
    with tempfile.TemporaryDirectory(prefix="hg-") as folder:
        report = Path(folder) / "report.csv"
        where = ("--connect-to", f"127.0.0.1:{ports.secure}", "https://localhost/")
        said = _said(_program("http2smugl"), "detect", "--csv-log", str(report), *where)
        with report.open(newline="") as file:
            rows = list(csv.DictReader(file))
    if not rows:
        raise RuntimeError(f"http2smugl said something else: {said[-1000:]}")
    failed = {
        f"{row['http_method']}, {row['detect_method']}: {row['smuggling_method']}": row["result"]
        for row in rows
        if row["result"] != "indistinguishable"
    }
    return Result(len(rows), failed)


PROGRAMS: Final[dict[str, Callable[[Ports], Result]]] = {
    "h2spec over TLS": lambda ports: h2spec(ports.secure, "-t", "-k"),
    "h2spec in clear": lambda ports: h2spec(ports.clear),
    "httpwg in clear": httpwg,
    "http2smugl over TLS": http2smugl,
}


def main() -> int:
    """Runs the drill; the exit code."""
    bad = 0
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hg-")))
        endpoint = stack.enter_context(Upstream("served"))
        ports = Ports(free_port(), free_port())
        pair = Authority(folder).issue("a", "localhost").toml("a")
        names = {"clear": ports.clear, "secure": ports.secure, "upstream": endpoint.address}
        config = _CONFIG.format(pair=pair, **names)
        stack.enter_context(RunningNode(folder, config).until_ready())
        for name, run in PROGRAMS.items():
            result = run(ports)
            bad += result.cases == 0 or not result.failed.keys() <= EXPECTED.get(name, set())
            sys.stdout.write(f"| {name} | {result.cases} | {len(result.failed)} |\n")
            sys.stdout.write(json.dumps(result.failed, indent=2) + "\n")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
