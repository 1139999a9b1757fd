"""The store: whole releases or none, links that are never absent, pristine copies, full disks."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.engines.nginx.common.types import Generation, Rendered, RenderedFile, ServedName
from headgate.engines.nginx.releases import disk
from headgate.engines.nginx.releases.links import is_whole, set_link
from headgate.engines.nginx.releases.manifest import Manifest
from headgate.engines.nginx.releases.names import MANIFEST, ReleaseName
from headgate.engines.nginx.releases.objects import DamagedObjectError, Objects
from headgate.engines.nginx.releases.store import (
    Difference,
    Store,
    UnknownReleaseError,
    UnsafePathError,
    check_paths,
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "nginx", keep=3, clock=lambda: 1000.0)


def rendered(text: str = "events {}", **more: str) -> Rendered:
    files = {"nginx.conf": text, **{path.replace("__", "/"): one for path, one in more.items()}}
    return Rendered(
        files=tuple(RenderedFile(path, content.encode()) for path, content in files.items()),
        listeners=("127.0.0.1:80",),
        zones={"z": "$uri 1m"},
        served_names=(ServedName("127.0.0.1:443", "a.example", ("00" * 32,)),),
    )


def stage(store: Store, generation: int, text: str = "events {}") -> ReleaseName:
    return store.stage(rendered(text), Generation(generation), "plan").name


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_staged_release_is_whole_read_only_and_described(store: Store) -> None:
    plan = Rendered(
        files=(
            RenderedFile("nginx.conf", b"include http/*.conf;"),
            RenderedFile("http/a.conf", b"#"),
            RenderedFile("certs/a.key", b"secret", 0o600),
        ),
        listeners=("127.0.0.1:80",),
    )
    release = store.stage(plan, Generation(7), "abcd")
    assert str(release.name).startswith("7-")
    assert release.conf.read_bytes() == b"include http/*.conf;"
    modes = {
        path: (release.path / path).stat().st_mode & 0o777 for path in ("nginx.conf", "certs/a.key")
    }
    assert modes == {"nginx.conf": 0o440, "certs/a.key": 0o400}
    assert (release.path / "http").stat().st_mode & 0o777 == 0o550
    about = store.release(release.name).manifest
    assert (about.generation, about.plan_digest, about.created) == (7, "abcd", 1000.0)
    assert [entry.path for entry in about.files] == ["certs/a.key", "http/a.conf", "nginx.conf"]
    assert is_whole(store.root, release.name)
    assert store.verify(release.name) == ()


def test_staging_changes_no_link_and_staging_again_gives_the_same(store: Store) -> None:
    name = stage(store, 1)
    inode = store.path(name).stat().st_ino
    assert stage(store, 1) == name
    assert store.path(name).stat().st_ino == inode
    assert {store.linked(link) for link in ("current", "previous", "known_good")} == {None}


def test_the_name_depends_on_files_and_modes_alone(store: Store) -> None:
    files = (RenderedFile("nginx.conf", b"x"), RenderedFile("a", b"y"))
    names = {
        store.stage(Rendered(files=order, listeners=()), Generation(1)).name
        for order in (files, files[::-1])
    }
    assert len(names) == 1
    closed = (files[0], RenderedFile("a", b"y", 0o600))
    assert store.stage(Rendered(files=closed, listeners=()), Generation(1)).name not in names


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../x", "a/../../x", "", "a//b", "./a", MANIFEST, "a\0b"]
)
def test_a_file_cannot_leave_its_release(store: Store, path: str) -> None:
    with pytest.raises(UnsafePathError):
        store.stage(Rendered(files=(RenderedFile(path, b""),), listeners=()), Generation(1))
    assert store.names() == []


def test_two_files_cannot_have_one_place() -> None:
    for paths in (["a", "a"], ["a", "a/b"]):
        with pytest.raises(UnsafePathError):
            check_paths([RenderedFile(path, b"") for path in paths])


@given(st.lists(st.text(max_size=8), max_size=4))
def test_what_is_accepted_as_a_path_stays_inside(paths: list[str]) -> None:
    try:
        check_paths([RenderedFile(path, b"") for path in paths])
    except UnsafePathError:
        return
    for path in paths:
        assert os.path.normpath(f"/release/{path}") == f"/release/{path}"


def test_a_link_is_replaced_without_ever_being_absent(store: Store) -> None:
    one, two = stage(store, 1), stage(store, 2)
    store.link("current", one)
    before = (store.root / "current").lstat().st_ino
    store.link("current", two)
    assert store.linked("current") == two
    assert (store.root / "current").lstat().st_ino != before, "renamed over, not rewritten"
    assert (store.root / "current" / "nginx.conf").read_bytes() == b"events {}"
    assert not (store.root / "current").readlink().is_absolute(), "a moved folder still works"


def test_no_release_is_a_link_that_is_not_there(store: Store) -> None:
    store.link("current", stage(store, 1))
    store.link("current", None)
    store.link("current", None)
    assert store.linked("current") is None


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        ("edit", [Difference("nginx.conf", "edited")]),
        ("remove", [Difference("nginx.conf", "missing")]),
        ("add", [Difference("extra.conf", "added")]),
        ("mode", [Difference("nginx.conf", "mode")]),
    ],
)
def test_what_was_changed_is_seen_and_undone(
    store: Store, damage: str, expected: list[Difference]
) -> None:
    name = stage(store, 1)
    before = contents(store.path(name))
    do_damage(store.path(name), damage)
    assert list(store.verify(name)) == expected
    edited = store.restore(name)
    assert store.verify(name) == ()
    assert contents(store.path(name)) == before
    assert edited is not None
    assert contents(edited) != before or damage == "mode", "what was edited is kept"


def do_damage(folder: Path, damage: str) -> None:
    folder.chmod(0o700)
    conf = folder / "nginx.conf"
    conf.chmod(0o600)
    if damage == "edit":
        with conf.open("r+b") as file:  # in place, as some editors do
            file.write(b"EVENTS")
        conf.chmod(0o440)
    elif damage == "remove":
        conf.unlink()
    elif damage == "add":
        conf.chmod(0o440)
        (folder / "extra.conf").write_bytes(b"")


def test_a_release_that_is_gone_or_has_another_manifest_is_restored(store: Store) -> None:
    name = stage(store, 1)
    before = contents(store.path(name))
    (store.path(name) / MANIFEST).chmod(0o600)
    (store.path(name) / MANIFEST).write_bytes(b"{}")
    with pytest.raises(UnknownReleaseError):
        store.release(name)
    store.restore(name)
    assert contents(store.path(name)) == before
    disk.remove_tree(store.path(name))
    assert store.has(name)
    store.restore(name)
    assert contents(store.path(name)) == before


def test_restoring_what_is_pristine_touches_nothing(store: Store) -> None:
    name = stage(store, 1)
    inode = store.path(name).stat().st_ino
    assert store.restore(name) is None
    assert store.path(name).stat().st_ino == inode


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda data: data.replace(b"events {}", b"rotten !!"), DamagedObjectError),
        (lambda data: data[:-1], DamagedObjectError),
        (lambda data: data.partition(b"\n")[0], DamagedObjectError),
        (lambda data: b"{}\n" + data, UnknownReleaseError),
        (lambda data: data.replace(b'"mode":288', b'"mode":256'), UnknownReleaseError),
        (lambda data: b"", UnknownReleaseError),
    ],
)
def test_a_damaged_pristine_copy_is_not_restored_from(
    store: Store, damage: Callable[[bytes], bytes], expected: type[Exception]
) -> None:
    name = stage(store, 1)
    do_damage(store.path(name), "edit")
    copy = store.root / "objects" / str(name)
    pristine = copy.read_bytes()
    copy.chmod(0o600)
    copy.write_bytes(damage(pristine))
    with pytest.raises(expected):
        store.restore(name)
    assert (store.path(name) / "nginx.conf").read_bytes() == b"EVENTS {}", "left as it was"


def test_reading_gives_what_was_rendered(store: Store) -> None:
    plan = rendered(http__a="server {}")
    name = store.stage(plan, Generation(1)).name
    again = store.read(name)
    assert sorted(again.files, key=lambda one: one.path) == sorted(
        plan.files, key=lambda one: one.path
    )
    assert (again.listeners, again.zones, again.served_names) == (
        plan.listeners,
        plan.zones,
        plan.served_names,
    )


def test_pruning_keeps_the_newest_and_what_is_linked(store: Store) -> None:
    names = [stage(store, generation, f"# {generation}") for generation in range(1, 8)]
    store.link("known_good", names[0])
    store.link("current", names[1])
    gone = store.prune()
    assert gone == names[2:4]
    assert store.names() == [*names[:2], *names[4:]]
    for name in store.names():
        assert store.restore(name) is None
        assert store.read(name).files
    assert len(list((store.root / "objects").iterdir())) == 5


@given(
    st.dictionaries(
        st.from_regex(r"[a-z]{1,3}(/[a-z]{1,3})?", fullmatch=True), st.binary(max_size=40)
    )
)
def test_a_pristine_copy_gives_any_contents_back(files: dict[str, bytes]) -> None:
    plan = Rendered(tuple(RenderedFile(path, one) for path, one in files.items()), ())
    about = Manifest.of(plan, 1, "", 0.0)
    with TemporaryDirectory() as folder:
        objects = Objects(Path(folder))
        objects.add("1-a", about, files)
        assert objects.manifest("1-a") == about
        assert objects.read("1-a", about) == files


def test_what_a_crash_left_half_staged_is_removed(store: Store) -> None:
    stage(store, 1)
    half_kept = store.root / "objects" / ".2-0123456789ab"
    half_kept.write_bytes(b"{")
    half = store.root / "releases" / ".staging-2-0123456789ab"
    half.mkdir()
    (half / "nginx.conf").write_bytes(b"")
    half.chmod(0o550)
    store.prune()
    assert not half.exists()
    assert not half_kept.exists()
    assert [name.generation for name in store.names()] == [1]


class FullDisk:
    """Lets `os.write` write so many bytes."""

    def __init__(self, room: int) -> None:
        self.room = room
        self._write = os.write

    def write(self, fd: int, data: bytes) -> int:
        if self.room < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= len(data)
        return self._write(fd, data)


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Iterator[FullDisk]:
    disk_full = FullDisk(1 << 30)
    monkeypatch.setattr(os, "write", disk_full.write)
    yield disk_full


@pytest.mark.parametrize("room", [0, 9, 500, 1_000, 1_400])
def test_a_full_disk_is_told_in_words_and_leaves_no_trace(
    store: Store, full: FullDisk, room: int
) -> None:
    name = stage(store, 1)
    store.link("current", name)
    before = contents(store.root)
    full.room = room
    with pytest.raises(disk.NoSpaceError, match=r"no space left at .*nothing was changed"):
        store.stage(rendered("x" * 1_000, b="y" * 100), Generation(2))
    after = {path: one for path, one in contents(store.root).items() if "objects" not in path}
    assert after == {path: one for path, one in before.items() if "objects" not in path}
    assert store.verify(name) == ()
    full.room = 1 << 30
    assert stage(store, 2).generation == 2


def test_a_link_that_cannot_be_written_stays_what_it_was(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = stage(store, 1), stage(store, 2)
    store.link("current", one)

    def fails(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(Path, "symlink_to", fails)
    with pytest.raises(OSError, match="full"):
        set_link(store.root, "current", two)
    assert store.linked("current") == one
    assert sorted(path.name for path in store.root.iterdir()) == ["current", "objects", "releases"]


def test_where_trees_cannot_be_exchanged_two_renames_do(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = stage(store, 1)
    do_damage(store.path(name), "edit")

    def fails(*_: object) -> None:
        raise OSError(errno.EINVAL, "no exchange")

    monkeypatch.setattr(disk, "_exchange", fails)
    edited = store.restore(name)
    assert edited is not None
    assert store.verify(name) == ()
