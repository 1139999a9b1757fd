"""PREFLIGHT, on pretended instances."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from headgate.engines.nginx.apply import preflight
from headgate.engines.nginx.apply.causes import Finding
from headgate.engines.nginx.common.types import Instance, Process
from headgate.engines.nginx.observe.processes import InstanceFigures, ProcessFigures


class FakeInstance:
    """Knows holders of addresses, and workers."""

    def __init__(self, holders: dict[str, str] | None = None, workers: Sequence[Process] = ()):
        self._holders = holders or {}
        self._workers = tuple(workers)

    def holder(self, address: str) -> str | None:
        if address == "nonsense":
            raise ValueError("no address")
        return self._holders.get(address)

    def workers(self) -> tuple[Process, ...]:
        return self._workers


def fake(holders: dict[str, str] | None = None, workers: Sequence[Process] = ()) -> Instance:
    return cast(Instance, FakeInstance(holders, workers))


def test_ports_of_others_are_told_with_their_holder() -> None:
    instance = fake({"127.0.0.1:80": "apache2 (pid 7)"})
    found = list(preflight.ports(instance, ["nonsense", "unix:/x", "127.0.0.1:81", "127.0.0.1:80"]))
    assert found == [
        Finding("port_unknown", "who holds nonsense cannot be told: no address", is_error=False),
        Finding("port_held", "127.0.0.1:80 is held by apache2 (pid 7)", is_transient=True),
    ]


def test_folders_have_to_be_there(tmp_path: Path) -> None:
    found = list(preflight.folders([tmp_path, tmp_path / "none"]))
    text = f"the folder {tmp_path / 'none'} is missing"
    assert found == [Finding("missing_file", text, is_transient=True)]


@pytest.mark.parametrize(("generations", "is_refused"), [(0, False), (2, False), (3, True)])
def test_a_cap_on_generations_that_drain(
    monkeypatch: pytest.MonkeyPatch, generations: int, is_refused: bool
) -> None:
    ages = [ten + worker * 0.1 for ten in range(0, 10 * generations, 10) for worker in range(2)]
    workers = tuple(
        ProcessFigures(Process(index, index, True), float(age), 0.0, 0, None)
        for index, age in enumerate(ages)
    )
    monkeypatch.setattr(preflight, "figures", lambda *_: InstanceFigures(None, workers))
    found = list(preflight.draining(fake(), 3))
    assert bool(found) == is_refused
    assert all(one.is_transient for one in found)


def test_memory_for_one_more_generation(monkeypatch: pytest.MonkeyPatch) -> None:
    workers = [Process(1, 1), Process(2, 1), Process(3, 1, shutting_down=True)]
    monkeypatch.setattr(preflight, "_resident", lambda _: 100 << 20)
    text = "239 MiB of memory are available; another generation of 2 workers takes about 240 MiB"
    refused = [Finding("memory", text, is_transient=True)]
    for available, expected in ((239 << 20, refused), (240 << 20, []), (None, [])):
        monkeypatch.setattr(preflight, "_meminfo", lambda now=available: now)
        assert list(preflight.memory(fake(workers=workers))) == expected


def test_an_upgrade_is_waited_for() -> None:
    text = "an nginx binary upgrade is under way: HUP would not load the config"
    assert preflight.upgrading() == Finding("upgrading", text, is_transient=True)


def test_the_real_figures_can_be_read() -> None:
    assert (preflight._meminfo() or 0) > 1 << 20
    assert preflight._resident(Process(os.getpid(), 0)) > 1 << 20
    assert preflight._resident(Process(0, 0)) == 0


def test_figures_that_a_system_does_not_have_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "_PROC", tmp_path)
    assert preflight._meminfo() is None
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\n")
    assert preflight._meminfo() is None
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:    3 kB\nBuffers: 8 kB\n")
    assert preflight._meminfo() == 3 * 1024
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "status").write_text("VmPeak: 9 kB\nVmRSS:    4 kB\nThreads: 1\n")
    assert preflight._resident(Process(7, 0)) == 4 * 1024
    (tmp_path / "7" / "smaps_rollup").write_text("00-ff [rollup]\nRss: 4 kB\nPss: 2 kB\n")
    assert preflight._resident(Process(7, 0)) == 2 * 1024
