"""What drift is compared with, and heals of an nginx that is pretended, on a real store."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import loops
import pytest
from waiting import until_async

from headgate.engines.nginx.apply.causes import Finding as Cause
from headgate.engines.nginx.apply.results import Rejected
from headgate.engines.nginx.common.types import Generation, Process, Rendered, RenderedFile
from headgate.engines.nginx.drift import (
    Artefact,
    Artefacts,
    DriftWatch,
    Finding,
    Policy,
    Rules,
    State,
)
from headgate.engines.nginx.drift.disk import Looks
from headgate.engines.nginx.drift.finding import compared
from headgate.engines.nginx.drive.engine import NginxEngine
from headgate.engines.nginx.releases.names import ReleaseName
from headgate.engines.nginx.releases.store import Store
from headgate.engines.nginx.upkeep.mender import HealError, Mender


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
        await until_async(lambda: "nginx.drift" in told, "a look")
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


class Host:
    """An nginx that serves what was on disk at its last reload, whatever generation that says."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder / "nginx")
        self.name = stage(self.store, 1)
        self.conf = self.store.path(self.name) / "nginx.conf"
        self.is_up = True
        self.births = 0
        self.switches: list[ReleaseName] = []
        self.refuses = False
        self.reload()
        self.engine = SimpleNamespace(
            store=self.store,
            root=self.store.root,
            probed_digest=None,
            instance=SimpleNamespace(
                master=lambda: Process(1, 1) if self.is_up else None, workers=self.workers
            ),
            running=lambda: self.name.generation,
            applier=SimpleNamespace(heal=self.switch),
        )
        self.mender = Mender(cast(NginxEngine, self.engine), lambda *_: None)

    def workers(self) -> tuple[Process, ...]:
        return (Process(10 + self.births, self.births),) if self.is_up else ()

    def reload(self) -> None:
        self.births += 1
        self.served = self.conf.read_bytes()

    def switch(self, name: ReleaseName, **_: object) -> object:
        self.switches.append(name)
        if self.refuses:
            cause = Cause("not_verified", "the reload was not proven")
            return Rejected(1, "verify", cause, (cause,))
        self.reload()
        return None

    def edit(self) -> None:
        self.conf.chmod(0o640)
        self.conf.write_text("# edited")

    def revert(self) -> None:
        self.store.restore(self.name)

    def look(self) -> Finding:
        desired = self.mender.desired()
        assert desired is not None
        disk = Looks().look(desired, thoroughly=True)
        finding = compared(desired, disk, self.mender.running())
        self.mender.report(finding)
        return finding

    def heal(self) -> None:
        self.mender.heal(self.look(), Artefact("", ""))


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_an_edit_that_was_reloaded_is_healed_in_what_nginx_serves_too(host: Host) -> None:
    """The edited release still answers with its own generation."""
    host.edit()
    host.reload()
    assert host.look().edits
    host.heal()
    assert (host.served, host.switches) == (b"# 1", [host.name])
    assert host.look().states == (State.IN_SYNC,)


def test_an_edit_that_was_seen_before_its_reload_is_healed_too(host: Host) -> None:
    host.edit()
    assert host.look().states == (State.DISK_DRIFT,)
    host.reload()
    assert host.look().states == (State.DISK_DRIFT, State.FOREIGN_RELOAD)
    host.heal()
    assert host.served == b"# 1"
    assert host.look().states == (State.IN_SYNC,)


def test_a_reload_between_the_look_and_the_heal_does_not_stay(host: Host) -> None:
    host.edit()
    finding = host.look()
    host.reload()
    host.mender.heal(finding, Artefact("", ""))
    assert host.served == b"# 1"


def test_an_edit_and_a_reload_before_the_node_began_are_healed(host: Host) -> None:
    host.edit()
    host.reload()
    host.mender = Mender(cast(NginxEngine, host.engine), lambda *_: None)
    host.heal()
    assert host.served == b"# 1"


@pytest.mark.parametrize("is_seen", [True, False])
def test_an_edit_that_only_nginx_still_has_is_no_sync(host: Host, is_seen: bool) -> None:
    """Somebody put the file back by hand, and did not reload."""
    host.edit()
    if is_seen:
        host.look()
    host.reload()
    host.look()
    host.revert()
    for _ in range(3):
        assert host.look().states == (State.FOREIGN_RELOAD,)
    assert host.engine.is_doubted()
    host.reload()
    assert host.look().edits == ()
    assert host.look().states == (State.IN_SYNC,)
    assert not host.engine.is_doubted()


def test_a_heal_whose_reload_fails_is_due_again(host: Host) -> None:
    host.edit()
    host.reload()
    host.refuses = True
    finding = host.look()
    with pytest.raises(HealError, match="not proven"):
        host.mender.heal(finding, Artefact("", ""))
    assert host.look().states == (State.FOREIGN_RELOAD,)
    host.refuses = False
    host.heal()
    assert host.served == b"# 1"
    assert host.look().states == (State.IN_SYNC,)


def test_a_reload_of_the_wanted_release_is_no_drift(host: Host) -> None:
    host.look()
    host.reload()
    assert host.look().states == (State.IN_SYNC,)
    assert not host.engine.is_doubted()


def test_an_nginx_that_does_not_run_is_not_started_by_a_heal(host: Host) -> None:
    host.is_up = False
    host.edit()
    host.heal()
    assert host.conf.read_bytes() == b"# 1"
    assert host.switches == []
