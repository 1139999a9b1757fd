"""The metrics page of an nginx: our own engine's names, and a page that can be read."""

import os
import re
from pathlib import Path
from typing import get_args

from headgate.engines.nginx.common.types import Process
from headgate.engines.nginx.observe import families
from headgate.engines.nginx.observe.error_log import ErrorWatch, Kind
from headgate.engines.nginx.observe.family import Family
from headgate.engines.nginx.observe.hits import Hit
from headgate.engines.nginx.observe.lines import Losses
from headgate.engines.nginx.observe.processes import DrainTimes, InstanceFigures, figures
from headgate.engines.nginx.observe.status import RunningGeneration, StubStatus
from headgate.engines.nginx.observe.traffic import Traffic
from headgate.node.exposition import text
from headgate.node.samples import parse

_GOLDEN = (
    Path(__file__).parents[5] / "engine/crates/hg-dataplane/src/openmetrics/golden.txt"
).read_text()


def _families() -> list[Family]:
    traffic = Traffic()
    hit = Hit("api", "app", "127.0.0.1:1", "GET", "200", 1, 2, "0.001", "0.002", "0.002", "200", 3)
    traffic.add([hit, Hit(tcp="ended"), Hit(udp="ended")])
    stub = StubStatus(3, 16, 15, 40, 0, 1, 2)
    return [
        *families.of_traffic(traffic, 1.5, 2.0),
        *families.of_connections(stub),
        *families.of_processes(InstanceFigures(None, ()), 0.0),
        *families.of_generation(4, RunningGeneration(3, 77)),
        *families.of_logs(traffic, Losses(), ErrorWatch()),
    ]


def _labels(page: str, name: str) -> set[tuple[str, ...]]:
    lines = re.findall(rf"(?m)^{name}(?:_total|_bucket)?(?:{{(.*)}})? ", page)
    return {tuple(re.findall(r'(\w+)="', labels)) for labels in lines}


def test_a_family_that_our_engine_has_too_is_the_same_family() -> None:
    ours = dict(re.findall(r"(?m)^# TYPE (\S+) (\S+)$", _GOLDEN))
    shared = 0
    for family in _families():
        if family.name not in ours:
            continue
        shared += 1
        assert family.kind == ours[family.name]
        page = text(family)
        assert f"# HELP {family.name} {family.about}\n" in _GOLDEN
        if family.kind != "histogram":
            assert _labels(page, family.name) == _labels(_GOLDEN, family.name)
        else:
            bounds = re.findall(r'le="(\S+)"', page)
            assert bounds == re.findall(rf'{family.name}_bucket{{[^}}]*\ble="(\S+)"', _GOLDEN)
    assert shared >= 12


def test_what_only_an_nginx_has_is_named_so() -> None:
    ours = set(re.findall(r"(?m)^# TYPE (\S+) ", _GOLDEN))
    shared = {
        *("headgate_route_requests", "headgate_route_duration_seconds"),
        "headgate_upstream_duration_seconds",
    }
    for family in _families():
        assert family.name in ours | shared or family.name.startswith("headgate_nginx_")


def test_every_family_comes_once_and_the_page_can_be_read() -> None:
    found = _families()
    assert len({family.name for family in found}) == len(found)
    samples = parse("".join(text(family) for family in found))
    assert samples.total("http_requests_total") == 1
    assert samples.total("headgate_route_requests_total") == 1
    assert samples.total("headgate_connections_refused_total") == 1
    assert samples.buckets("headgate_upstream_duration_seconds")[0.002] == 1
    assert samples.total("proxy_backend_requests_total") == 1


def test_a_process_is_known_by_pid_and_start() -> None:
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    me = Process(os.getpid(), int(fields[19]))
    now = figures(me, [Process(me.pid, me.started, shutting_down=True), Process(me.pid, 1)])
    assert now.master is not None
    assert now.master.resident_bytes > 1_000_000
    assert now.master.open_files
    assert len(now.workers) == len(now.draining) == now.draining_generations == 1


def test_draining_is_counted_from_when_it_was_first_seen() -> None:
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    one = Process(os.getpid(), int(fields[19]), shutting_down=True)
    times = DrainTimes()
    assert times.oldest_s(figures(None, [one]), 100.0) == 0.0
    assert times.oldest_s(figures(None, [one]), 130.0) == 30.0
    assert times.oldest_s(figures(None, []), 140.0) == 0.0
    assert times.oldest_s(figures(None, [one]), 150.0) == 0.0


def test_the_reference_names_every_family() -> None:
    reference = (Path(__file__).parents[5] / "docs/reference/nginx-metrics.md").read_text()
    missing = [family.name for family in _families() if f"`{family.name}`" not in reference]
    assert missing == []
    kinds = {kind for kind in get_args(Kind) if f"`{kind}`" not in reference}
    assert kinds == set()
