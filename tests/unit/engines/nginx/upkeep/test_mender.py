"""What drift is compared with: a pristine copy that is damaged, and the next that is not."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import loops
from waiting import until_async

from headgate.engines.nginx.common.types import Generation, Rendered, RenderedFile
from headgate.engines.nginx.drift import Artefacts, DriftWatch, Policy, Rules
from headgate.engines.nginx.drive.engine import NginxEngine
from headgate.engines.nginx.releases.names import ReleaseName
from headgate.engines.nginx.releases.store import Store
from headgate.engines.nginx.upkeep.mender import Mender


def stage(store: Store, generation: int) -> ReleaseName:
    files = (RenderedFile("nginx.conf", b"# %d" % generation),)
    name = store.stage(Rendered(files=files, listeners=()), Generation(generation)).name
    store.link("current", name)
    store.link("known_good", name)
    return name


def damage(store: Store, name: ReleaseName) -> None:
    copy = store.root / "objects" / str(name)
    copy.chmod(0o600)
    copy.write_bytes(copy.read_bytes().replace(b"# 1", b"# x"))


def mended(store: Store, told: list[str]) -> Mender:
    engine = SimpleNamespace(
        store=store,
        root=store.root,
        probed_digest=None,
        instance=SimpleNamespace(master=lambda: None, workers=lambda: ()),
    )
    return Mender(cast(NginxEngine, engine), lambda _level, kind, *_: told.append(kind))


def watch_of(mender: Mender, folder: Path, rules: Rules) -> DriftWatch:
    return DriftWatch(
        world=mender,
        acts=mender,
        rules=rules,
        artefacts=Artefacts(folder / "drift"),
        original=mender.original,
        held=lambda: False,
    )


def test_an_alarm_over_a_damaged_copy_ends_with_the_next_good_release(tmp_path: Path) -> None:
    store = Store(tmp_path / "nginx")
    damage(store, stage(store, 1))
    told: list[str] = []
    mender = mended(store, told)
    watch = watch_of(mender, tmp_path, Rules(Policy.REPORT))

    async def play() -> None:
        running = asyncio.create_task(watch.run())
        await until_async(lambda: "is damaged" in mender.alarm_text, "the alarm")
        stage(store, 2)
        watch.wake()
        await until_async(lambda: mender.finding is not None, "a look")
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    loops.run(play())
    assert mender.alarm_text == ""
    assert told == ["nginx.alarm", "nginx.drift"]


def test_a_copy_that_is_damaged_later_does_not_end_the_watch(tmp_path: Path) -> None:
    """An edit is kept beside what should be there; where that cannot be told, it is not healed."""
    store = Store(tmp_path / "nginx")
    name = stage(store, 1)
    mender = mended(store, [])
    assert mender.desired() is not None
    damage(store, name)
    conf = store.path(name) / "nginx.conf"
    conf.chmod(0o640)
    conf.write_text("# edited")
    watch = watch_of(mender, tmp_path, Rules(Policy.HEAL, heal_after=0.0))

    async def play() -> None:
        running = asyncio.create_task(watch.run())
        await until_async(lambda: mender.alarm_text != "" or running.done(), "the alarm")
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert running.cancelled()

    loops.run(play())
    assert "is damaged" in mender.alarm_text
    assert conf.read_text() == "# edited"
