"""What many hosts cost nginx through us, beside the same hosts in a config written by hand.

    .venv/bin/python tests/drills/nginx_size.py [HOSTS] [SHAPE …]

The config by hand has our `http` (log format and its maps, timeouts, header lines towards the
upstream, error answers) and of each host what a person writes: an `upstream` with kept connections
and a `server` that includes the error answers and has a location for each route, which names the
route and the upstream for the log and passes to the upstream. Prints Markdown; exit code 1 when
ours takes more than 1.3 times as much.
"""

import argparse
import dataclasses
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests/support")]

from nginx_engine import (  # noqa: E402
    capabilities,
    expressed,
    loaded_file,
    target,
    worker_user,
    write_release,
)
from peers import peer  # noqa: E402
from ports import free_port  # noqa: E402
from tls_authority import Authority  # noqa: E402
from waiting import until  # noqa: E402

from headgate.engines.nginx.observe.status import StatusError, generation  # noqa: E402

BOUND: Final = 1.3
WORKERS: Final = 2
RELOADS: Final = 5
TESTS: Final = 3
DEADLINE_S: Final = 600.0
"""Of one step: a reload of 5,000 certificates takes over 20 s on a machine that builds beside."""

_MIB: Final = 1024
_PEAK: Final = """
import os, sys
pid = os.spawnv(os.P_NOWAIT, sys.argv[1], sys.argv[1:])
_, status, usage = os.wait4(pid, 0)
print(usage.ru_maxrss, usage.ru_utime + usage.ru_stime)
sys.exit(os.waitstatus_to_exitcode(status))
"""
_KEPT: Final = "keepalive 32; keepalive_requests 1000000000; keepalive_timeout 1m;"


@dataclass(frozen=True)
class Shape:
    """What every host has: a prefix and its upstream's name for each route; `{n}` is the host."""

    routes: tuple[tuple[str, str], ...]
    tls: bool = False
    header: bool = False


SHAPES: Final = {
    "one route": Shape((("/", "u{n}"),)),
    "two routes": Shape((("/", "u{n}"), ("/api", "a{n}"))),
    "headers of its own": Shape((("/", "u{n}"),), header=True),
    "a certificate each": Shape((("/", "u{n}"),), tls=True),
}


@dataclass(frozen=True)
class Cost:
    """Of `nginx -t` peak (KiB) and CPU seconds; PSS of a worker, of all (KiB); reload, seconds."""

    test_kib: int
    test_s: float
    worker_kib: float
    all_kib: int
    reload_s: float


def config(shape: Shape, hosts: int, port: int, folder: Path) -> str:
    """The config as a user of ours writes it."""
    tls = 'default_certificate = "c0"\n' if shape.tls else ""
    lines = [f'[listeners.web]\naddress = "127.0.0.1:{port}"\ndefault = true\n']
    if shape.tls:
        lines.append(f"[listeners.web.tls]\n{tls}")
    for n in range(hosts):
        name = f"h{n}.example"
        if shape.tls:
            lines.append(f'[certificates.c{n}]\ncert_file = "{folder}/c{n}.pem"\n')
            lines.append(f'key_file = "{folder}/c{n}.key"\n')
            lines.append(f'[hosts."{name}"]\ncertificate = "c{n}"\n')
        for prefix, upstream in shape.routes:
            own = upstream.format(n=n)
            match = "" if prefix == "/" else f'match = [{{ path = {{ prefix = "{prefix}" }} }}]\n'
            lines.append(f'[routes.{own}]\nhosts = ["{name}"]\n{match}upstream = "{own}"\n')
            if shape.header:
                edit = f'request_headers = {{ set = {{ x-host-number = "{n}" }} }}'
                lines.append(f"middlewares = [{{ {edit} }}]\n")
            lines.append(f'[upstreams.{own}]\nendpoints = ["127.0.0.1:9000"]\n')
    return "".join(lines)


def by_hand(shape: Shape, hosts: int, port: int, folder: Path) -> tuple[str, str]:
    """(upstreams, servers) as a person writes them."""
    upstreams, servers = [], []
    for n in range(hosts):
        listen = f"listen 127.0.0.1:{port}{' ssl' if shape.tls else ''};"
        lines = [listen, f"server_name h{n}.example;", "include errors.conf;"]
        if shape.tls:
            lines.append(f"ssl_certificate {folder}/c{n}.pem;")
            lines.append(f"ssl_certificate_key {folder}/c{n}.key;")
        for prefix, upstream in shape.routes:
            own = upstream.format(n=n)
            upstreams.append(f"upstream {own} {{ server 127.0.0.1:9000 max_fails=0; {_KEPT} }}\n")
            inside = [f"set $hg_route {own}; set $hg_upstream {own};"]
            if shape.header:
                inside.append(f"include lines.conf; proxy_set_header x-host-number {n};")
            inside.append(f"proxy_pass http://{own};")
            lines.append(f"location {prefix} {{ {' '.join(inside)} }}")
        servers.append("server { " + "\n".join(lines) + " }\n")
    return "".join(upstreams), "".join(servers)


@dataclass
class Release:
    """A folder with a release; `conf` is its nginx.conf."""

    root: Path

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return self.root / "current"

    def words(self) -> list[str]:
        """nginx on this release."""
        conf = str(self.folder / "nginx.conf")
        log = str(self.root / "logs/error.log")
        return [str(peer("nginx")), "-c", conf, "-p", f"{self.folder}/", "-e", log]

    def count(self, number: int) -> None:
        """Makes it another generation."""
        text = f'map "" $hg_generation {{ default {number}; }}\n'
        (self.folder / "generation.conf").write_text(text)


def ours(shape: Shape, hosts: int, root: Path, certs: Path) -> Release:
    """The config, rendered."""
    port = free_port()
    path = root / "headgate.toml"
    path.write_text(config(shape, hosts, port, certs))
    on = replace(target(str(root), capabilities(), user=worker_user()), workers=WORKERS)
    began = time.monotonic()
    found = loaded_file(path)
    compiled = time.monotonic()
    made = expressed(found, on)
    sys.stderr.write(f"compiled {compiled - began:.2f} s, ")
    sys.stderr.write(f"rendered {time.monotonic() - compiled:.2f} s\n")
    write_release(made, root)
    return Release(root)


def written(shape: Shape, hosts: int, root: Path, certs: Path) -> Release:
    """The config by hand, in the frame of a rendered one without hosts."""
    release = ours(replace(shape, tls=False), 0, root, certs)
    upstreams, servers = by_hand(shape, hosts, free_port(), certs)
    lines = (release.folder / "defaults.conf").read_text().splitlines(keepends=True)
    headers = [line for line in lines if line.startswith("proxy_set_header")]
    (release.folder / "lines.conf").write_text("".join(headers))
    (release.folder / "upstreams.conf").write_text(upstreams)
    for path in (release.folder / "http").iterdir():
        path.unlink()
    (release.folder / "http/sites.conf").write_text(servers)
    main = release.folder / "nginx.conf"
    names = "server_names_hash_max_size"
    text = main.read_text().replace(f"{names} 1024", f"{names} {max(4 * hosts, 1024)}")
    main.write_text(text)
    return release


def costs(releases: Sequence[Release]) -> list[Cost]:
    """Measured on the real nginx, turn by turn: other work on the machine meets all alike."""
    tests = [[_tested(one) for one in releases] for _ in range(TESTS)]
    with ExitStack() as stack:
        pids = [stack.enter_context(running(one)) for one in releases]
        sizes = [list(_pss(pid).values()) for pid in pids]
        reloads = [
            [_reload(one, pid, number) for one, pid in zip(releases, pids, strict=True)]
            for number in range(2, RELOADS + 2)
        ]
    return [
        Cost(
            max(test[at][0] for test in tests),
            min(test[at][1] for test in tests),
            statistics.mean(size[1:]),
            sum(size),
            statistics.median(reload[at] for reload in reloads),
        )
        for at, size in enumerate(sizes)
    ]


def _tested(release: Release) -> tuple[int, float]:
    """Peak (KiB) and CPU seconds of `nginx -t`."""
    # Through a small process: the peak of a child begins with that of the process it came from.
    words = [sys.executable, "-I", "-S", "-c", _PEAK, *release.words(), "-t"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[:2000])
    peak, test_s = done.stdout.split()
    return int(peak), float(test_s)


@contextmanager
def running(release: Release) -> Iterator[int]:
    """nginx on a release; the master's pid."""
    release.count(1)
    process = subprocess.Popen([*release.words(), "-g", "daemon off;"])
    try:
        until(_serves(release, 1), "nginx", deadline_s=DEADLINE_S)
        _until_workers(process.pid)
        yield process.pid
    finally:
        process.terminate()
        process.wait(DEADLINE_S)


def _serves(release: Release, number: int) -> Callable[[], bool]:
    def served() -> bool:
        try:
            return generation(str(release.root / "run/status.sock")).generation == number
        except StatusError:
            return False

    return served


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


def _pss(pid: int) -> dict[int, int]:
    """KiB by process, the master first."""
    found = {}
    for one in (pid, *_children(pid)):
        lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
        found[one] = next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return found


def _reload(release: Release, pid: int, number: int) -> float:
    """From the signal until the new generation answers; then waits for the old workers' end."""
    release.count(number)
    began = time.monotonic()
    os.kill(pid, signal.SIGHUP)
    until(_serves(release, number), "the new generation", deadline_s=DEADLINE_S)
    took = time.monotonic() - began
    _until_workers(pid)
    return took


def _until_workers(pid: int) -> None:
    """All workers of the last generation are there, and none of another."""
    until(lambda: len(_children(pid)) == WORKERS, "the workers", deadline_s=DEADLINE_S)


def certificates(folder: Path, hosts: int) -> None:
    """A pair for each host; one pair under many names, since nginx makes a context of each file."""
    pair = Authority(folder).issue("pair", "*.example")
    for n in range(hosts):
        (folder / f"c{n}.pem").write_bytes(pair.cert_file.read_bytes() + b"\n" * (n % 97))
        (folder / f"c{n}.key").write_bytes(pair.key_file.read_bytes())


def measured(name: str, hosts: int) -> bool:
    """Prints the rows of a shape; whether ours is within the bound."""
    shape = SHAPES[name]
    with tempfile.TemporaryDirectory(prefix="hg-") as folder:
        root = Path(folder)
        root.chmod(0o755)
        hand, own, certs = root / "hand", root / "own", root / "certs"
        for one in (hand, own, certs):
            one.mkdir()
        if shape.tls:
            certificates(certs, hosts)
        by_people, by_us = costs(
            (written(shape, hosts, hand, certs), ours(shape, hosts, own, certs))
        )
    for who, cost in (("by hand", by_people), ("headgate", by_us)):
        _row(
            name,
            who,
            f"{cost.test_kib / _MIB:.0f} MiB",
            f"{cost.test_s:.2f} s",
            f"{cost.worker_kib / _MIB:.1f} MiB",
            f"{cost.all_kib / _MIB:.0f} MiB",
            f"{cost.reload_s:.2f} s",
        )
    ratios: list[float] = [
        getattr(by_us, one.name) / getattr(by_people, one.name) for one in dataclasses.fields(Cost)
    ]
    _row(name, "ratio", *(f"{ratio:.2f}" for ratio in ratios))
    return max(ratios) <= BOUND


def _row(*cells: str) -> None:
    sys.stdout.write(f"| {' | '.join(cells)} |\n")
    sys.stdout.flush()


def main() -> int:
    """Measures the shapes asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("hosts", type=int, nargs="?", default=5000)
    parser.add_argument("shapes", nargs="*", choices=[*SHAPES, []])
    asked = parser.parse_args()
    head = ("hosts", "config", "`nginx -t` peak", "its CPU", "PSS of a worker")
    sys.stdout.write(f"| {' | '.join(head)} | PSS of all | reload |\n")
    sys.stdout.write("|---|---|---|---|---|---|---|\n")
    good = [measured(name, asked.hosts) for name in asked.shapes or SHAPES]
    return 0 if all(good) else 1


if __name__ == "__main__":
    raise SystemExit(main())
