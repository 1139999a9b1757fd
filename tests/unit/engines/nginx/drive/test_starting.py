"""Starting a dead nginx again, beside an apply of somebody else."""

from pathlib import Path

import pytest

from headgate.compile.settings import NginxSettings
from headgate.engines.nginx.apply.journal import JOURNAL, Journal, Record
from headgate.engines.nginx.common.types import Generation, Rendered, RenderedFile
from headgate.engines.nginx.drive.engine import NginxEngine
from headgate.engines.nginx.instance import NginxInstance
from headgate.engines.nginx.releases.lock import BusyError, is_locked, locked
from headgate.engines.nginx.releases.names import ReleaseName


@pytest.fixture
def engine(tmp_path: Path) -> NginxEngine:
    return NginxEngine(tmp_path, NginxSettings(binary="/bin/true"))


def swapped(engine: NginxEngine) -> tuple[ReleaseName, ReleaseName]:
    """An apply of 2 over 1 that has come to SWAP."""
    store = engine.store
    old, new = (
        store.stage(
            Rendered((RenderedFile("nginx.conf", b"# %d" % number),), ()), Generation(number)
        ).name
        for number in (1, 2)
    )
    store.link("known_good", old)
    store.link("current", new)
    Journal(store.root / JOURNAL).append(Record(2, "swap", new, (old,), target=old))
    return old, new


def test_an_apply_that_has_come_to_swap_is_not_turned_back(engine: NginxEngine) -> None:
    _, new = swapped(engine)
    with locked(engine.root), pytest.raises(BusyError):
        engine.start()
    assert engine.store.linked("current") == new


def test_no_apply_begins_while_nginx_is_started(
    engine: NginxEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, _ = swapped(engine)
    seen: list[bool] = []
    monkeypatch.setattr(NginxInstance, "start", lambda _: seen.append(is_locked(engine.root)))
    assert engine.start()
    assert seen == [True]
    assert engine.store.linked("current") == old
