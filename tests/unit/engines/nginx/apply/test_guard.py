"""The boot guard, on folders as crashes leave them; and that it starts quickly."""

import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest

from headgate.engines.nginx.apply import guard as guards
from headgate.engines.nginx.apply.guard import MARK, boot_id, guard, guarding, main
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
    crash_at(store, "verify")
    guard(store.root)
    assert replay(Journal(store.root / JOURNAL).records()) == Settled()
    crash_at(store, "commit")
    guard(store.root)
    assert replay(Journal(store.root / JOURNAL).records()) != Settled()


def test_beside_a_node_at_work_only_the_link_is_set(store: Store) -> None:
    old, _ = crash_at(store, "verify")
    before = (store.root / JOURNAL).read_bytes()
    with locked(store.root):
        assert guard(store.root).current == old
    assert (store.root / JOURNAL).read_bytes() == before


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
    assert (found.current, found.is_safe) == (one, True)
    assert "missing" in found.why


def test_the_first_apply_that_was_interrupted_is_better_than_nothing(store: Store) -> None:
    new = stage(store, 1)
    store.link("current", new)
    Journal(store.root / JOURNAL).append(Record(1, "verify", new))
    found = guard(store.root)
    assert (found.current, found.is_safe) == (new, True)


def test_exit_codes(tmp_path: Path, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--root", str(tmp_path / "none")]) == 1
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
    guard(store.root)
    assert json.loads((store.root / MARK).read_text())["boot"] == boot_id()
    made = {one.name for one in store.root.iterdir()} - before
    assert made == {MARK, "run", "logs", "apply.lock"}


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
