"""How long an endpoint that fails gets requests at low traffic, and how long until it is back.

`python tests/drills/low_traffic.py` sends one request a second through headgate, nginx and HAProxy,
all at the same time, each in several settings, to two endpoints or to one. After ten seconds one
endpoint fails: it answers 500, refuses connections, or accepts and never answers. A minute later it
works again. The table says how many requests failed for the client, for how long the endpoint got
requests after it began to fail, and when it served the first one after it was mended.
"""

import argparse
import asyncio
import contextlib
import io
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from ports import free_port
from running_node import RunningNode, config

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
ERROR = b"HTTP/1.1 500 Error\r\nContent-Length: 0\r\n\r\n"
FAULTS = ("answers 500", "refuses connections", "never answers")
_TIMEOUT_S = 5.0


@dataclass
class Endpoint:
    """An upstream of one event loop that notes when requests of the client come."""

    port: int = field(default_factory=free_port)
    fault: str = ""
    seen: list[tuple[float, bool]] = field(default_factory=list)
    """When a request came, and whether it was answered well."""
    _server: asyncio.Server | None = None

    async def open(self) -> None:
        """Begins to listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def fail(self, fault: str) -> None:
        """Begins to fail in this way; an empty one mends it."""
        if self.fault == FAULTS[1] and self._server is None:
            await self.open()
        self.fault = fault
        if fault == FAULTS[1] and self._server is not None:
            self._server.close()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                if self.fault == FAULTS[1]:
                    break
                is_ours = b"x-low-traffic" in head.lower()
                if is_ours:
                    self.seen.append((asyncio.get_running_loop().time(), not self.fault))
                if self.fault == FAULTS[2]:
                    await reader.read()
                    break
                writer.write(ERROR if self.fault else OK)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@dataclass
class Case:
    """A proxy in one setting, with its endpoints."""

    name: str
    endpoints: list[Endpoint]
    start: Callable[["Case", Path], None]
    port: int = field(default_factory=free_port)
    failed: list[float] = field(default_factory=list)
    node: RunningNode | None = None
    process: subprocess.Popen[bytes] | None = None

    def addresses(self, join: str) -> str:
        """The endpoints' addresses."""
        return join.join(f"127.0.0.1:{one.port}" for one in self.endpoints)

    def stop(self) -> None:
        """Ends the proxy."""
        if self.node is not None:
            with contextlib.redirect_stdout(io.StringIO()):  # its log
                self.node.__exit__(None, None, None)
        if self.process is not None:
            self.process.terminate()
            self.process.wait()


RETRY = 'retry = { on = ["connect-failure", "reset", "timeout", "5xx"] }'


def _headgate(rest: str, route: str = "") -> Callable[[Case, Path], None]:
    def start(case: Case, folder: Path) -> None:
        text = config(case.port, case.addresses('", "')).replace(
            'upstream = "app"', f'upstream = "app"\ntimeouts = {{ first_byte = "1s" }}\n{route}'
        )
        node = RunningNode(folder, text + rest + "\n")
        node.__enter__()
        case.node = node.until_ready()

    return start


def _program(name: str) -> str:
    return shutil.which(name) or name


def _nginx(case: Case, folder: Path) -> None:
    servers = " ".join(
        f"server 127.0.0.1:{one.port} max_fails=1 fail_timeout=10s;" for one in case.endpoints
    )
    path = folder / "nginx.conf"
    path.write_text(
        f"daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/e crit;\n"
        "events {}\nhttp { access_log off;\n"
        f"upstream u {{ zone u 64k; {servers} }}\n"
        f"server {{ listen 127.0.0.1:{case.port}; location / {{ proxy_pass http://u;\n"
        "proxy_read_timeout 1s; proxy_connect_timeout 1s;\n"
        "proxy_next_upstream error timeout http_500; } } }\n"
    )
    case.process = subprocess.Popen([_program("nginx"), "-p", str(folder), "-c", str(path)])


def _haproxy(case: Case, folder: Path) -> None:
    servers = "".join(
        f"  server s{i} 127.0.0.1:{one.port} check inter 2s fall 3 rise 2\n"
        for i, one in enumerate(case.endpoints)
    )
    path = folder / "haproxy.cfg"
    path.write_text(
        "defaults\n  mode http\n  timeout connect 1s\n  timeout client 60s\n  timeout server 1s\n"
        "  retries 2\n  retry-on all-retryable-errors\n  option redispatch 1\n"
        f"frontend f\n  bind 127.0.0.1:{case.port}\n  default_backend b\n"
        f"backend b\n  balance roundrobin\n  option httpchk GET /\n{servers}"
    )
    case.process = subprocess.Popen(
        [_program("haproxy"), "-db", "-f", str(path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


SETTINGS: dict[str, Callable[[Case, Path], None]] = {
    "headgate, nothing set": _headgate(""),
    "headgate, `health_check = {}`": _headgate("health_check = {}"),
    "headgate, `outlier_detection = {}`": _headgate("outlier_detection = {}"),
    "headgate, `circuit_breaker = {}`": _headgate("circuit_breaker = {}"),
    "headgate, `retry` with 5xx": _headgate("", RETRY),
    "headgate, all four": _headgate(
        "health_check = {}\noutlier_detection = {}\ncircuit_breaker = {}", RETRY
    ),
    "nginx, `max_fails=1 fail_timeout=10s`, next upstream": _nginx,
    "haproxy, `check inter 2s fall 3 rise 2`, redispatch": _haproxy,
}


async def _ask(case: Case) -> None:
    began = asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", case.port)
            writer.write(
                b"GET / HTTP/1.1\r\nHost: a\r\nX-Low-Traffic: 1\r\nConnection: close\r\n\r\n"
            )
            answer = await reader.read()
            writer.close()
    except (TimeoutError, OSError):
        answer = b""
    if not answer.startswith(b"HTTP/1.1 200 "):
        case.failed.append(began)


async def _drive(cases: list[Case], fault: str, times: tuple[float, float, float]) -> list[str]:
    loop = asyncio.get_running_loop()
    good_s, bad_s, after_s = times
    began = loop.time()
    asks: set[asyncio.Task[None]] = set()
    is_bad, is_mended, second = False, False, 0
    while loop.time() < began + good_s + bad_s + after_s:
        passed = loop.time() - began
        if passed >= good_s and not is_bad:
            is_bad = True
            for case in cases:
                await case.endpoints[-1].fail(fault)
        if passed >= good_s + bad_s and not is_mended:
            is_mended = True
            for case in cases:
                await case.endpoints[-1].fail("")
        for case in cases:
            task = asyncio.create_task(_ask(case))
            asks.add(task)
            task.add_done_callback(asks.discard)
        second += 1
        await asyncio.sleep(max(0.0, began + second - loop.time()))
    if asks:
        await asyncio.wait(asks)
    bad_at, mended_at = began + good_s, began + good_s + bad_s
    return [_line(case, fault, bad_at, mended_at) for case in cases]


def _line(case: Case, fault: str, bad_at: float, mended_at: float) -> str:
    seen = case.endpoints[-1].seen
    in_fault = [at for at, is_good in seen if bad_at <= at < mended_at and not is_good]
    failed = [at for at in case.failed if bad_at <= at]
    back = next((at - mended_at for at, is_good in seen if at >= mended_at and is_good), None)
    got = f"{len(in_fault)}" if fault != FAULTS[1] else "-"
    lasted = f"{max(in_fault) - bad_at:.0f} s" if in_fault else "-"
    last_failed = f"{max(failed) - bad_at:.0f} s" if failed else "-"
    told = "not within a minute" if back is None else f"{back:.0f} s"
    return (
        f"| {case.name} | {len(case.endpoints)} | {fault} | {len(failed)} | {last_failed} "
        f"| {got} | {lasted} | {told} |"
    )


async def _run(counts: list[int], times: tuple[float, float, float]) -> list[str]:
    lines: list[str] = []
    for fault in FAULTS:
        with tempfile.TemporaryDirectory(prefix="hgl-") as root:
            cases: list[Case] = []
            for count in counts:
                for name, start in SETTINGS.items():
                    endpoints = [Endpoint() for _ in range(count)]
                    for one in endpoints:
                        await one.open()
                    case = Case(name, endpoints, start)
                    folder = Path(root) / str(len(cases))
                    folder.mkdir()
                    await asyncio.to_thread(start, case, folder)
                    cases.append(case)
            try:
                await asyncio.sleep(2.0)
                lines += await _drive(cases, fault, times)
            finally:
                for case in cases:
                    await asyncio.to_thread(case.stop)
    return lines


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bad", type=float, default=60.0, help="seconds that the endpoint fails")
    parser.add_argument("--after", type=float, default=60.0, help="seconds after it is mended")
    options = parser.parse_args()
    for program in ("nginx", "haproxy"):
        if shutil.which(program) is None:
            sys.stderr.write(f"low_traffic: {program} is not installed (make system-deps)\n")
            return 1
    lines = asyncio.run(_run([2, 1], (10.0, options.bad, options.after)))
    sys.stdout.write(
        "| setting | endpoints | the last one | failed for the client | the last of them after "
        "| requests it got | the last of them after | back after |\n" + "|---" * 8 + "|\n"
    )
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
