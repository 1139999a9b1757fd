"""Speeds of the nginx engine, each by one command; run by headgate's own Python.

    python nginx_engine.py parse COUNT
    python nginx_engine.py render CONFIG
    python nginx_engine.py apply FOLDER CONFIG…
    python nginx_engine.py tail LOG SECONDS
    python nginx_engine.py log-format

Prints one JSON object; times in milliseconds, medians where something is done more than once.
`apply` starts an nginx in FOLDER with the first config, applies each next one, then edits a file of
the release and waits until that is seen; `tail` follows a log that is being written.
"""

import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from headgate.compile.load import load
from headgate.compile.settings import NginxSettings
from headgate.engines.nginx.apply import statussocket
from headgate.engines.nginx.apply.results import Applied, PhaseChanged
from headgate.engines.nginx.capabilities import Binary, probe
from headgate.engines.nginx.common.types import Generation, Rendered, Target
from headgate.engines.nginx.drift import (
    Artefact,
    Artefacts,
    Desired,
    DriftWatch,
    Finding,
    Policy,
    Rules,
    Running,
    release_desired,
)
from headgate.engines.nginx.drift import Binary as BinaryState
from headgate.engines.nginx.drive.setup import setup
from headgate.engines.nginx.instance import NginxInstance
from headgate.engines.nginx.observe.fields import log_format
from headgate.engines.nginx.observe.hits import JsonLines
from headgate.engines.nginx.observe.observer import POLL_S
from headgate.engines.nginx.observe.tail import TailReader
from headgate.engines.nginx.observe.traffic import Traffic
from headgate.engines.nginx.releases.store import Store
from headgate.engines.nginx.render import render
from headgate.kernel.ids import BlobId
from headgate.nginxtext.parse import parse
from headgate.plan.plan import Plan
from headgate.providers.file.disk import DiskFiles

Blobs = Mapping[BlobId, bytes]

_REPEATS = 5
_SEEN_WITHIN_S = 20.0
_LISTENS_AFTER_S = 1.0
_BINARY = "/usr/sbin/nginx"

_SERVER = """\
# host {number}
server {{
    listen 80;
    listen 443 ssl;
    server_name h{number}.example www.h{number}.example;
    ssl_certificate /etc/ssl/h{number}.pem;   # renewed by the agent
    ssl_certificate_key "/etc/ssl/h{number}.key";
    location ~* "^/(img|css)/(?<rest>.+\\.(?:png|css))$" {{
        expires 30d;
        add_header Cache-Control 'public, "immutable"';
    }}
    location / {{
        proxy_pass http://pool_{number}$request_uri;
        proxy_set_header Host $host;
        proxy_set_header X-Forwarded-For ${{proxy_add_x_forwarded_for}};
    }}
}}
"""


def timed(work: Callable[[], object], repeats: int = _REPEATS) -> float:
    """Milliseconds of wall clock, the median."""
    took = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        took.append((time.perf_counter() - start) * 1000)
    return statistics.median(took)


def parsing(count: int) -> dict[str, float]:
    """So many server blocks: parsed, and written again byte for byte."""
    blocks = "".join(_SERVER.format(number=number) for number in range(count))
    text = f"events {{}}\nhttp {{\n{blocks}}}\n".encode()

    def round_trip() -> None:
        if parse(text).to_bytes() != text:
            raise AssertionError("the text is not the same")

    return {
        "parse_ms": timed(lambda: parse(text)),
        "ms": timed(round_trip),
        "bytes": float(len(text)),
    }


def rendering(config: Path) -> dict[str, float]:
    """A plan rendered for the nginx of this machine."""
    loaded = _loaded(config)
    target = _target(Path("/nonexistent"))

    rendered = _rendered(loaded, target)
    size = sum(len(file.content) for file in rendered.files)
    took = timed(lambda: _rendered(loaded, target))
    return {"ms": took, "files": float(len(rendered.files)), "bytes": float(size)}


def applying(folder: Path, configs: Sequence[Path]) -> dict[str, float]:
    """Applies one config after the other; the first one starts nginx."""
    here = setup(folder, NginxSettings(soak_s=0.0)).here
    steps = _Steps()
    applier = here.applier(folder, steps.began)
    target = _target(folder)
    whole, reload, verified = [], [], []
    try:
        for index, config in enumerate(configs):
            loaded = _loaded(config)

            def rendered(generation: Generation, of: tuple[Plan, Blobs] = loaded) -> Rendered:
                return _rendered(of, replace(target, generation=generation))

            start = time.perf_counter()
            result = applier.apply(rendered)
            took = (time.perf_counter() - start) * 1000
            if not isinstance(result, Applied):
                raise AssertionError(result.text())
            if not index:
                steps.took.clear()
            if index:
                whole.append(took)
                reload.append(result.reload_s * 1000)
                verified.append(result.verified_s * 1000)
        drift = asyncio.run(_drift(Store(folder), here.settings.status_socket))
    finally:
        NginxInstance(here.place).stop(deadline_s=2.0)
    over = [all_ - own for all_, own in zip(whole, reload, strict=True)]
    return {
        "ms": statistics.median(whole),
        "reload_ms": statistics.median(reload),
        "signal_to_verified_ms": statistics.median(verified),
        "over_reload_ms": statistics.median(over),
        **{f"{step}_ms": statistics.median(took) for step, took in steps.took.items()},
        "drift_ms": drift,
    }


class _Steps:
    """Milliseconds of each step, from its record in the journal to that of the next."""

    def __init__(self) -> None:
        self.took: dict[str, list[float]] = {}
        self._last = ("", 0.0)

    def began(self, phase: PhaseChanged) -> None:
        """The step before is over."""
        step, at = self._last
        if step and step != "done":
            self.took.setdefault(step, []).append((time.perf_counter() - at) * 1000)
        self._last = (phase.step, time.perf_counter())


def tailing(log: Path, seconds: float) -> dict[str, float]:
    """Follows a log for so long, as the node does; CPU of this process alone."""
    parser, traffic = JsonLines(), Traffic()
    unread, most_behind = 0, 0
    with TailReader(str(log), "end") as reader:
        list(reader.read())
        begin, cpu = time.monotonic(), time.process_time()
        while time.monotonic() - begin < seconds:
            time.sleep(POLL_S)
            for block in reader.read():
                hits, bad = parser.hits(block)
                traffic.add(hits)
                unread += bad
            place = reader.position
            behind = log.stat().st_size - (place.offset if place is not None else 0)
            most_behind = max(most_behind, behind)
        used, took = time.process_time() - cpu, time.monotonic() - begin
        skipped = reader.losses.skipped_bytes
    total = traffic.total()
    return {
        "requests": float(total),
        "rps": total / took,
        "cpu_s": used,
        "us": used / max(1, total) * 1e6,
        "core_per_10k": used / max(1, total) * 10_000 * 100,
        "behind": float(most_behind),
        "skipped": float(skipped),
        "unread": float(unread),
    }


def _loaded(config: Path) -> tuple[Plan, Blobs]:
    loaded = load([config], DiskFiles(), os.environ)
    if loaded.plan is None:
        raise AssertionError(str(loaded.diagnostics[0]))
    return loaded.plan, loaded.blobs


def _rendered(of: tuple[Plan, Blobs], target: Target) -> Rendered:
    rendered = render(*of, target)
    if not isinstance(rendered, Rendered):
        raise AssertionError(rendered[:3])
    return rendered


def _target(folder: Path) -> Target:
    is_root = os.geteuid() == 0
    return Target(
        capabilities=probe(Binary(_BINARY)).capabilities,
        mode="full",
        generation=Generation(1),
        root=str(folder),
        pid_path=f"{folder}/run/nginx.pid",
        status_socket=f"{folder}/run/status.sock",
        access_log=f"{folder}/logs/access.log",
        error_log=f"{folder}/logs/error.log",
        user="www-data" if is_root else None,
        workers=1,
    )


@dataclass(slots=True)
class _Watched:
    """The nginx as the drift watch sees it; remembers when drift was reported."""

    store: Store
    status_socket: str
    seen_at: float = 0.0
    is_seen: asyncio.Event = field(default_factory=asyncio.Event)
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)

    def desired(self) -> Desired | None:
        name = self.store.linked("current")
        return release_desired(self.store, name) if name is not None else None

    def running(self) -> Running | None:
        answer = statussocket.ask(self.status_socket)
        return None if answer is None else Running(answer.generation)

    def binary(self) -> BinaryState | None:
        return None

    def is_applying(self) -> bool:
        return False

    def report(self, finding: Finding) -> None:
        if finding.is_drift:
            self.seen_at = time.perf_counter()
            self.loop.call_soon_threadsafe(self.is_seen.set)

    def heal(self, finding: Finding, artefact: Artefact) -> None:
        raise AssertionError("the policy is to report")

    def propose(self, finding: Finding, artefact: Artefact) -> None:
        raise AssertionError("the policy is to report")

    def reprobe(self) -> None:
        raise AssertionError("the binary is not looked at")

    def alarm(self, text: str | None) -> None:
        if text is not None:
            raise AssertionError(text)


async def _drift(store: Store, status_socket: str) -> float:
    """Milliseconds from an edit of a file of the release until drift is reported; the median."""
    name = store.linked("current")
    if name is None:
        raise AssertionError("nothing was applied")
    path = store.path(name) / "nginx.conf"
    pristine = path.read_bytes()
    took = []
    for _ in range(_REPEATS):
        one = _Watched(store, status_socket)
        artefacts = Artefacts(store.root / "artefacts")
        watch = DriftWatch(one, one, Rules(Policy.REPORT), artefacts, lambda _: None, lambda: False)
        running = asyncio.create_task(watch.run())
        await asyncio.sleep(_LISTENS_AFTER_S)
        start = time.perf_counter()
        path.chmod(0o640)
        path.write_bytes(pristine + b"# edited\n")
        async with asyncio.timeout(_SEEN_WITHIN_S):
            await one.is_seen.wait()
        took.append((one.seen_at - start) * 1000)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        path.write_bytes(pristine)
        path.chmod(0o440)
    return statistics.median(took)


def main(arguments: Sequence[str]) -> int:
    """Runs a command; the exit code."""
    match list(arguments):
        case ["parse", count]:
            found = parsing(int(count))
        case ["render", config]:
            found = rendering(Path(config))
        case ["apply", folder, *configs]:
            found = applying(Path(folder), [Path(one) for one in configs])
        case ["tail", log, seconds]:
            found = tailing(Path(log), float(seconds))
        case ["log-format"]:
            sys.stdout.write(log_format() + "\n")
            return 0
        case _:
            sys.stderr.write(f"{__doc__}\n")
            return 2
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
