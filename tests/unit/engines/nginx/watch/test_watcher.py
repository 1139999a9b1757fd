"""A foreign nginx that is there but cannot be looked at."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from headgate.compile.settings import NginxSettings
from headgate.engines.nginx.common.types import Process
from headgate.engines.nginx.observe.observer import Observer, Sources
from headgate.engines.nginx.watch import watcher as module
from headgate.engines.nginx.watch.watcher import Watcher


def test_what_cannot_be_looked_at_is_not_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the node would be ready while its status knows of no nginx."""

    def unreadable(_: object) -> None:
        raise PermissionError(13, "Permission denied")

    found = SimpleNamespace(master=Process(10, 100))
    monkeypatch.setattr(module, "running_with", lambda *_: found)
    monkeypatch.setattr(module, "look_at", unreadable)
    told: list[str] = []
    watcher = Watcher(
        tmp_path, NginxSettings(mode="observe"), lambda _level, kind, *_: told.append(kind)
    )
    assert not watcher.is_up
    about = watcher.status()
    assert (about.state, about.pid) == ("down", None)
    assert about.nginx is not None
    assert "it cannot be looked at" in about.nginx.warning
    assert told == ["nginx.unseen"]


def test_latencies_are_counted_in_the_buckets_of_the_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    observer = Observer(Sources())
    monkeypatch.setattr(module, "running_with", lambda *_: None)
    watcher = Watcher(tmp_path, NginxSettings(mode="observe"), lambda *_: None)
    adoption = SimpleNamespace(meter=SimpleNamespace(observer=observer))
    watcher._sight = SimpleNamespace(adoption=adoption)  # type: ignore[assignment]
    watcher.configured(NginxSettings(mode="observe", latency_bounds_us=(5_000,)))
    observer.poll()
    assert observer.traffic.duration.bounds_s == (0.005,)
