"""Row 31 of the fault matrix on a real nginx and a real store: files edited by hand.

The scan is an hour away, so that only events can show what happened.
"""

import asyncio
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import loops
import pytest
from nginx_alive import AliveNginx
from waiting import until, until_async

from headgate.engines.nginx.common.types import Generation, Rendered, RenderedFile
from headgate.engines.nginx.drift import (
    Artefact,
    Artefacts,
    Binary,
    Desired,
    DriftWatch,
    Finding,
    Policy,
    Rules,
    Running,
    State,
    release_desired,
)
from headgate.engines.nginx.drive.engine import NginxEngine
from headgate.engines.nginx.instance import NginxInstance, Place
from headgate.engines.nginx.releases.names import ReleaseName
from headgate.engines.nginx.releases.store import Store
from headgate.engines.nginx.upkeep.mender import Mender

KEY = b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"


class Scene:
    """A store with a release, an nginx that serves it, and what the watch asks and does."""

    def __init__(self, folder: Path, binary: Path) -> None:
        self.nginx = AliveNginx(folder, binary)
        self.root = folder / "nginx"
        self.store = Store(self.root)
        self.name = self.apply(1, "one")
        place = Place(
            conf=str(self.root / "current" / "nginx.conf"),
            prefix=f"{self.root}/current/",
            pid_path=self.nginx.place.pid_path,
            binary=str(binary),
        )
        self.nginx.place, self.nginx.instance = place, NginxInstance(place)
        self.applying = False
        self.is_held = False
        self.findings: list[Finding] = []
        self.healed: list[Finding] = []
        self.kept: list[Artefact] = []
        self.alarms: list[str | None] = []
        self.mender: Mender

    def begin(self) -> None:
        """Has the node's own mender look at this nginx and heal it."""
        engine = SimpleNamespace(
            root=self.root,
            store=self.store,
            probed_digest=None,
            instance=self.nginx.instance,
            running=lambda: self.name.generation,  # an edited release answers like its original
            applier=SimpleNamespace(heal=self.switch),
        )
        self.mender = Mender(cast(NginxEngine, engine), lambda *_: None)

    def switch(self, _: ReleaseName) -> None:
        """Reloads, and returns once no worker from before takes requests."""
        before = self.serving()
        self.nginx.instance.signal("HUP")
        until(lambda: bool(self.serving()) and not before & self.serving(), "new workers")

    def serving(self) -> frozenset[int]:
        """The workers that take requests."""
        workers = self.nginx.instance.workers()
        return frozenset(one.pid for one in workers if not one.shutting_down)

    def apply(self, generation: int, answer: str) -> ReleaseName:
        """Stages a release and makes it current; nginx is not told."""
        text = self.nginx.text(answer, "include http/*.conf;")
        rendered = Rendered(
            files=(
                RenderedFile("nginx.conf", text.encode()),
                RenderedFile("http/shop.conf", b"# route shop\nkeepalive_timeout 60s;\n"),
                RenderedFile("certs/shop.key", KEY, 0o600),
            ),
            listeners=(),
        )
        release = self.store.stage(rendered, Generation(generation))
        self.store.link("current", release.name)
        self.store.link("known_good", release.name)
        self.name = release.name
        return release.name

    def has_more_than(self, findings: int) -> bool:
        """Whether more was found since."""
        return len(self.findings) > findings

    def file(self, path: str) -> Path:
        """A file of the current release."""
        return self.store.path(self.name) / path

    def edit(self, path: str, text: str) -> None:
        """What somebody at night does as root: in place, whatever the modes say."""
        folder = self.file(path).parent
        folder.chmod(0o750)
        self.file(path).chmod(0o640)
        self.file(path).write_text(text)

    def desired(self) -> Desired | None:
        return release_desired(self.store, self.name)

    def running(self) -> Running | None:
        return self.mender.running()

    def binary(self) -> Binary | None:
        return None

    def is_applying(self) -> bool:
        return self.applying

    def report(self, finding: Finding) -> None:
        self.mender.report(finding)
        self.findings.append(finding)

    def heal(self, finding: Finding, artefact: Artefact) -> None:
        assert finding.generation == self.name.generation, "an older release was to be put back"
        self.kept.append(artefact)
        self.mender.heal(finding, artefact)
        self.healed.append(finding)

    def reprobe(self) -> None:
        raise AssertionError("the binary is the same")

    def alarm(self, text: str | None) -> None:
        self.alarms.append(text)

    def original(self, path: str) -> bytes | None:
        prefix = f"releases/{self.name}/"
        files = {prefix + file.path: file.content for file in self.store.read(self.name).files}
        return files.get(path)

    def watch(self, policy: Policy, heal_after: float = 0.2) -> DriftWatch:
        return DriftWatch(
            world=self,
            acts=self,
            rules=Rules(policy, heal_after=heal_after),
            artefacts=Artefacts(self.root / "drift"),
            original=self.original,
            held=lambda: self.is_held,
            scan_s=3600.0,
        )


class Watching:
    """Runs a watch meanwhile; its first look is over when the block begins."""

    def __init__(self, scene: Scene, policy: Policy, heal_after: float = 0.2) -> None:
        self._scene = scene
        self.watch = scene.watch(policy, heal_after)

    async def __aenter__(self) -> DriftWatch:
        self._task = asyncio.create_task(self.watch.run())
        await until_async(lambda: bool(self._scene.findings), "the first look")
        return self.watch

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        gathered = await asyncio.gather(self._task, return_exceptions=True)
        assert isinstance(gathered[0], asyncio.CancelledError), gathered


@pytest.fixture
def scene(folder: Path, binary: Path) -> Iterator[Scene]:
    """A served release."""
    it = Scene(folder, binary)
    with it.nginx:
        it.begin()
        yield it


def last(scene: Scene) -> tuple[State, ...]:
    """The states of the last report."""
    return scene.findings[-1].states


def test_an_edit_is_seen_kept_and_healed(scene: Scene) -> None:
    before = scene.file("http/shop.conf").read_bytes()

    async def play() -> None:
        async with Watching(scene, Policy.HEAL):
            assert last(scene) == (State.IN_SYNC,)
            scene.edit("http/shop.conf", "# route shop\nkeepalive_timeout 5s;\n")
            await until_async(lambda: bool(scene.healed), "the heal")
            await until_async(lambda: last(scene) == (State.IN_SYNC,), "being in sync")

    loops.run(play())
    assert scene.findings[1].states == (State.DISK_DRIFT,)
    assert scene.file("http/shop.conf").read_bytes() == before
    assert scene.store.verify(scene.name) == ()
    artefact = scene.kept[0]
    assert "-keepalive_timeout 60s;\n+keepalive_timeout 5s;\n" in artefact.diff
    kept = Path(artefact.folder) / "files" / "releases" / str(scene.name) / "http/shop.conf"
    assert kept.read_text() == "# route shop\nkeepalive_timeout 5s;\n"
    assert scene.nginx.body() == "one"


def test_a_deleted_file_and_a_deleted_release_come_back(scene: Scene) -> None:
    async def play() -> None:
        async with Watching(scene, Policy.HEAL):
            scene.file("http/shop.conf").parent.chmod(0o750)
            scene.file("http/shop.conf").unlink()
            await until_async(lambda: len(scene.healed) == 1, "the first heal")
            await until_async(lambda: last(scene) == (State.IN_SYNC,), "being in sync")
            for path in (scene.store.path(scene.name), scene.file("http"), scene.file("certs")):
                path.chmod(0o750)
            shutil.rmtree(scene.store.path(scene.name))
            await until_async(lambda: len(scene.healed) == 2, "the second heal")
            await until_async(lambda: last(scene) == (State.IN_SYNC,), "being in sync")

    loops.run(play())
    assert scene.store.verify(scene.name) == ()
    assert scene.nginx.instance.test(scene.nginx.place.conf).ok


def test_a_file_that_an_include_would_take_in_is_drift_too(scene: Scene) -> None:
    async def play() -> None:
        async with Watching(scene, Policy.HEAL):
            scene.file("http").chmod(0o750)
            scene.file("http/evil.conf").write_text("server { listen 1; }\n")
            await until_async(lambda: bool(scene.healed), "the heal")

    loops.run(play())
    assert not scene.file("http/evil.conf").exists()
    assert [edit.how for edit in scene.healed[0].edits if edit.path.endswith("evil.conf")] == [
        "added"
    ]


def test_a_link_that_was_turned_is_turned_back(scene: Scene) -> None:
    async def play() -> None:
        async with Watching(scene, Policy.HEAL):
            link = scene.root / "current"
            fresh = scene.root / "fresh"
            fresh.symlink_to("/etc/nginx")
            fresh.rename(link)
            await until_async(lambda: bool(scene.healed), "the heal")

    loops.run(play())
    assert (scene.root / "current").readlink() == Path(f"releases/{scene.name}")


def test_an_edit_with_a_reload_is_healed_with_a_reload(scene: Scene) -> None:
    async def play() -> None:
        async with Watching(scene, Policy.HEAL) as watch:
            scene.is_held = True  # until nginx has read the edit
            text = scene.nginx.text("hacked", "include http/*.conf;")
            scene.edit("nginx.conf", text)
            scene.nginx.instance.signal("HUP")
            await until_async(lambda: scene.nginx.body() == "hacked", "the foreign reload")
            scene.is_held = False
            watch.wake()
            await until_async(lambda: bool(scene.healed), "the heal")
            await until_async(lambda: scene.nginx.body() == "one", "what should be served")

    loops.run(play())
    assert scene.healed[0].edits


def test_an_edit_with_a_reload_before_the_node_began_is_healed_with_a_reload(scene: Scene) -> None:
    scene.edit("nginx.conf", scene.nginx.text("hacked", "include http/*.conf;"))
    scene.nginx.instance.signal("HUP")
    until(lambda: scene.nginx.body() == "hacked", "the foreign reload")
    scene.begin()

    async def play() -> None:
        async with Watching(scene, Policy.HEAL):
            await until_async(lambda: bool(scene.healed), "the heal")
            await until_async(lambda: scene.nginx.body() == "one", "what should be served")
            await until_async(lambda: last(scene) == (State.IN_SYNC,), "being in sync")

    loops.run(play())


def test_an_edit_during_an_apply_never_brings_the_older_release_back(scene: Scene) -> None:
    old = scene.name

    async def play() -> None:
        async with Watching(scene, Policy.HEAL, heal_after=1.0) as watch:
            scene.edit("http/shop.conf", "# edited\n")
            await until_async(lambda: last(scene) == (State.DISK_DRIFT,), "the drift")
            scene.applying = True
            scene.apply(2, "two")
            scene.edit("http/shop.conf", "# edited during the apply\n")
            scene.nginx.instance.signal("HUP")
            await until_async(lambda: scene.nginx.body() == "two", "the new release")
            scene.mender.remember_workers()
            scene.applying = False
            watch.wake()
            await until_async(lambda: bool(scene.healed), "the heal")
            await until_async(lambda: last(scene) == (State.IN_SYNC,), "being in sync")

    loops.run(play())
    assert [finding.generation for finding in scene.healed] == [2]
    assert scene.store.linked("current") == scene.name != old
    assert scene.store.verify(scene.name) == ()
    assert scene.nginx.body() == "two"


def test_a_hold_keeps_a_hot_fix(scene: Scene) -> None:
    scene.is_held = True

    async def play() -> None:
        async with Watching(scene, Policy.HEAL, heal_after=0.0) as watch:
            scene.edit("http/shop.conf", "# fixed at night\n")
            await until_async(lambda: last(scene) == (State.DISK_DRIFT,), "the drift")
            # Each of these is a look of its own at which a heal would have been due.
            for number in range(3):
                looks = len(scene.findings)
                scene.edit("http/shop.conf", f"# fixed at night, {number}\n")
                await until_async(partial(scene.has_more_than, looks), "a look")
            assert scene.healed == []
            scene.is_held = False
            watch.wake()
            await until_async(lambda: bool(scene.healed), "the heal after the hold")

    loops.run(play())


def test_report_tells_and_touches_nothing(scene: Scene) -> None:
    async def play() -> None:
        async with Watching(scene, Policy.REPORT, heal_after=0.0):
            scene.edit("http/shop.conf", "# mine\n")
            await until_async(lambda: last(scene) == (State.DISK_DRIFT,), "the drift")
            scene.edit("http/shop.conf", "# mine, again\n")
            await until_async(lambda: len(scene.findings) > 2, "the next look")

    loops.run(play())
    assert scene.file("http/shop.conf").read_text() == "# mine, again\n"
    assert scene.healed == []
    assert not (scene.root / "drift").exists()


def test_a_heal_keeps_a_diff_and_never_the_contents_of_a_key(scene: Scene) -> None:
    scene.edit("certs/shop.key", KEY.decode().replace("c2VjcmV0", "b3RoZXI="))
    scene.edit("http/shop.conf", "# mine\n")

    async def play() -> None:
        async with Watching(scene, Policy.HEAL):
            await until_async(lambda: bool(scene.healed), "the heal")

    loops.run(play())
    diff = scene.kept[-1].diff
    assert "+# mine\n" in diff
    assert "certs/shop.key: edited, sha256 " in diff
    assert "b3RoZXI=" not in diff
    assert "c2VjcmV0" not in diff
    assert Path(scene.kept[-1].folder).stat().st_mode & 0o077 == 0
    assert scene.file("http/shop.conf").read_text() != "# mine\n"
