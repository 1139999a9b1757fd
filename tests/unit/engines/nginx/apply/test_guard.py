"""The boot guard, on folders as crashes leave them; and that it starts quickly."""

import errno
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from headgate.engines.nginx.apply import guard as guards
from headgate.engines.nginx.apply.guard import (
    MARK,
    Guarded,
    boot_id,
    guard,
    guarding,
    main,
    text_of,
)
from headgate.engines.nginx.apply.journal import JOURNAL, STEPS, Journal, Record, Step
from headgate.engines.nginx.apply.replay import Settled, replay
from headgate.engines.nginx.common.types import Generation, Rendered, RenderedFile
from headgate.engines.nginx.releases import disk
from headgate.engines.nginx.releases.lock import BusyError, locked
from headgate.engines.nginx.releases.names import ReleaseName
from headgate.engines.nginx.releases.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def stage(store: Store, generation: int) -> ReleaseName:
    files = (RenderedFile("nginx.conf", b"# %d" % generation),)
    return store.stage(Rendered(files=files, listeners=()), Generation(generation)).name


def crash_at(store: Store, step: Step) -> tuple[ReleaseName, ReleaseName]:
    """An apply of 2 over 1 that ended at a step."""
    old, new = stage(store, 1), stage(store, 2)
    store.link("known_good", old)
    after_swap = STEPS.index(step) >= STEPS.index("swap")
    is_back = step.startswith("rollback_") or step == "known_good"
    store.link("current", new if after_swap and not is_back else old)
    release = None if step in {"fetch", "stage"} else new
    Journal(store.root / JOURNAL).append(Record(2, step, release, (old,), target=old))
    return old, new


@pytest.mark.parametrize("step", STEPS)
def test_nginx_starts_with_what_was_verified(store: Store, step: Step) -> None:
    old, new = crash_at(store, step)
    found = guard(store.root)
    assert found.is_safe
    assert found.current == store.linked("current") == (new if step in {"commit", "done"} else old)
    assert guard(store.root).current == found.current, "twice is once"


def test_a_link_that_is_right_is_left_alone(store: Store) -> None:
    """Where nothing may be written, as on a read-only file system, nothing has to be."""
    store.link("current", stage(store, 1))
    before = (store.root / "current").lstat()
    assert guard(store.root).is_safe
    after = (store.root / "current").lstat()
    assert (after.st_ino, after.st_ctime_ns) == (before.st_ino, before.st_ctime_ns)


def test_what_it_undid_is_closed_and_a_commit_is_left_to_the_node(store: Store) -> None:
    old, new = crash_at(store, "verify")
    found = guard(store.root)
    assert found == Guarded(old, new, "the apply of 2 was interrupted", is_safe=True)
    assert text_of(found) == f"starts with release {old} instead of {new}: {found.why}"
    records = Journal(store.root / JOURNAL).records()
    assert replay(records) == Settled()
    assert (records[-1].apply, records[-1].step, records[-1].target) == (2, "done", old)
    assert (records[-1].detail, records[-1].at > 0) == ("guard", True)
    again = guard(store.root)
    assert text_of(again) == f"starts with release {old}"
    assert Journal(store.root / JOURNAL).records() == records
    crash_at(store, "commit")
    guard(store.root)
    assert replay(Journal(store.root / JOURNAL).records()) != Settled()


def test_a_heal_that_was_interrupted_starts_with_the_release_proven_last(store: Store) -> None:
    """Without knowing it: its own release is what the heal would go back to."""
    old, good = stage(store, 1), stage(store, 2)
    store.link("previous", old)
    for link in ("current", "known_good"):
        store.link(link, good)
    Journal(store.root / JOURNAL).append(Record(2, "verify", good, (good,)))
    assert guard(store.root) == Guarded(good, good, "", is_safe=True)
    assert store.linked("current") == good
    assert replay(Journal(store.root / JOURNAL).records()) != Settled(), "the node proves it"


def test_beside_a_node_at_work_only_the_link_is_set(store: Store) -> None:
    old, _ = crash_at(store, "verify")
    before = (store.root / JOURNAL).read_bytes()
    with locked(store.root):
        assert guard(store.root).current == old
    assert (store.root / JOURNAL).read_bytes() == before
    assert (store.root / MARK).exists(), "nginx starts behind a guard here too"


def test_who_starts_nginx_leaves_an_apply_alone_and_lets_none_begin(store: Store) -> None:
    old, new = crash_at(store, "verify")
    with locked(store.root):
        with pytest.raises(BusyError), guarding(store.root):
            pass
        assert store.linked("current") == new
    with guarding(store.root) as found:
        assert found.current == store.linked("current") == old
        with pytest.raises(BusyError), locked(store.root):
            pass


def test_files_that_are_gone_mean_the_next_best(store: Store) -> None:
    one, two = stage(store, 1), stage(store, 2)
    store.link("previous", one)
    store.link("current", two)
    store.link("known_good", two)
    disk.remove_tree(store.path(two))
    found = guard(store.root)
    assert found == Guarded(one, two, f"files of {two} are missing", is_safe=True)


def test_where_no_release_is_whole_nginx_must_not_start(store: Store) -> None:
    found = guard(store.root)
    assert found == Guarded(None, None, "no release", is_safe=False)
    assert text_of(found) == "no verified release to start with (no release)"
    one = stage(store, 1)
    for link in ("current", "previous", "known_good"):
        store.link(link, one)
    disk.remove_tree(store.path(one))
    found = guard(store.root)
    assert found == Guarded(one, one, f"files of {one} are missing", is_safe=False)
    assert text_of(found) == f"no verified release to start with (files of {one} are missing)"
    lost = Guarded(one, one, "", is_safe=False)
    assert text_of(lost) == "no verified release to start with (files are missing)"


@pytest.mark.parametrize("error", [errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO])
def test_where_nothing_may_be_locked_it_only_looks(
    store: Store, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    def closed(root: Path) -> None:
        raise OSError(error, "no", str(root))

    old, _ = crash_at(store, "verify")
    store.link("current", old)
    before = (store.root / JOURNAL).read_bytes()
    monkeypatch.setattr(guards, "locked", closed)
    if error == errno.EIO:
        with pytest.raises(OSError, match="no"):
            guard(store.root)
        return
    assert guard(store.root) == Guarded(old, old, "", is_safe=True)
    assert (store.root / JOURNAL).read_bytes() == before


def test_nginx_finds_its_folders_and_no_socket_of_one_that_was_killed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.link("current", stage(store, 1))
    owners: list[tuple[Path, int, int]] = []
    monkeypatch.setattr(os, "chown", lambda *one: owners.append(one))
    guard(store.root)
    group = store.root.stat().st_gid
    assert owners == [(store.root / name, -1, group) for name in ("run", "logs")]
    assert not (store.root / "run").stat().st_mode & 0o007
    stale = store.root / "run" / "status.sock"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(stale))
    (store.root / "logs" / "error.log").write_text("kept")
    guard(store.root)
    assert not stale.exists()
    assert (store.root / "logs" / "error.log").read_text() == "kept"
    assert len(owners) == 2, "the folders of others stay as they are"


def test_the_first_apply_that_was_interrupted_is_better_than_nothing(store: Store) -> None:
    new = stage(store, 1)
    store.link("current", new)
    Journal(store.root / JOURNAL).append(Record(1, "verify", new))
    assert guard(store.root) == Guarded(new, new, "", is_safe=True)
    assert Journal(store.root / JOURNAL).records()[-1].step == "verify", "the node still has to"


def test_exit_codes(tmp_path: Path, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    none = tmp_path / "none"
    assert main(["--root", str(none)]) == 1
    said = f"headgate: {none} is not a directory; give the node's nginx folder\n"
    assert capsys.readouterr().err == said
    assert main(["--root", str(tmp_path)]) == 1
    assert "no verified release" in capsys.readouterr().err
    store.link("current", stage(store, 1))
    assert main(["--root", str(tmp_path)]) == 0
    with pytest.raises(SystemExit) as left:
        main([])
    assert left.value.code == 2


def test_a_link_that_cannot_be_set_lets_nginx_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(root: Path, link: str, name: ReleaseName) -> None:
        del root, link, name
        raise OSError(errno.ENOSPC, "No space left on device")

    crash_at(Store(tmp_path), "verify")
    monkeypatch.setattr(guards, "set_link", full)
    assert main(["--root", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"headgate: {tmp_path}: No space left on device\n"


def test_it_leaves_a_mark_of_this_boot_and_nothing_else(store: Store) -> None:
    store.link("current", stage(store, 1))
    before = {one.name for one in store.root.iterdir()}
    began = time.time()
    guard(store.root)
    mark = json.loads((store.root / MARK).read_text())
    assert mark["boot"] == boot_id() == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert began <= mark["at"] <= time.time()
    made = {one.name for one in store.root.iterdir()} - before
    assert made == {MARK, "run", "logs", "apply.lock"}


def test_a_kernel_without_an_id_of_its_boot_has_an_empty_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(path: Path) -> str:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path))

    monkeypatch.setattr(Path, "read_text", missing)
    assert boot_id() == ""


def test_it_imports_the_standard_library_and_its_own_few_modules() -> None:
    """What it imports is what it costs before nginx may start."""
    code = (
        "import sys, headgate.engines.nginx.apply.guard\n"
        "print(' '.join(sorted(n for n in sys.modules if not n.startswith('_'))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert not {"msgspec", "typer", "pydantic", "asyncio", "cryptography"} & set(loaded)
    assert len([name for name in loaded if name.startswith("headgate")]) < 15
