"""Looking at files: what is seen of edits, links, folders; what is hashed again."""

import hashlib
import os
from pathlib import Path

import pytest

from headgate.engines.nginx.drift import Looks, Mark, State, baseline, compared
from headgate.engines.nginx.drift.disk import folders_of, identified
from headgate.engines.nginx.drift.finding import Desired


def digest(text: str) -> str:
    """sha256 in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A release with two files, and the link to it."""
    (tmp_path / "releases/7/http").mkdir(parents=True)
    (tmp_path / "releases/7/nginx.conf").write_text("a")
    (tmp_path / "releases/7/http/shop.conf").write_text("b")
    for path in (tmp_path / "releases/7").rglob("*.conf"):
        path.chmod(0o440)
    (tmp_path / "current").symlink_to("releases/7")
    return tmp_path


def desired(root: Path) -> Desired:
    """How that has to look."""
    return Desired(
        7,
        str(root),
        {
            "releases/7/nginx.conf": Mark(digest("a"), 0o440),
            "releases/7/http/shop.conf": Mark(digest("b"), 0o440),
        },
        {"current": "releases/7"},
        ("releases/7",),
    )


def how(root: Path, looks: Looks | None = None) -> list[tuple[str, str]]:
    """What a look finds."""
    found = compared(desired(root), (looks or Looks()).look(desired(root)))
    return [(edit.path, edit.how) for edit in found.edits]


def rewrite(path: Path, text: str) -> None:
    """Writes into a file that is read-only, and leaves it so."""
    path.chmod(0o640)
    path.write_text(text)
    path.chmod(0o440)


def test_what_was_written_is_in_sync(root: Path) -> None:
    assert compared(desired(root), Looks().look(desired(root))).states == (State.IN_SYNC,)


def test_an_edit_of_the_same_size_and_time_is_seen_between_two_looks(root: Path) -> None:
    looks, file = Looks(), root / "releases/7/nginx.conf"
    stat = file.stat()
    assert how(root, looks) == []
    rewrite(file, "x")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert how(root, looks) == [("releases/7/nginx.conf", "edited")]


def test_each_change_is_named(root: Path) -> None:
    rewrite(root / "releases/7/nginx.conf", "x")
    assert how(root) == [("releases/7/nginx.conf", "edited")]
    (root / "releases/7/nginx.conf").unlink()
    assert how(root) == [("releases/7/nginx.conf", "missing")]
    (root / "releases/7/http/new.conf").write_text("")
    assert ("releases/7/http/new.conf", "added") in how(root)
    (root / "releases/7/http/shop.conf").chmod(0o644)
    assert ("releases/7/http/shop.conf", "mode") in how(root)
    (root / "current").unlink()
    assert ("current", "missing") in how(root)
    (root / "current").symlink_to("elsewhere")
    assert ("current", "link") in how(root)


def test_a_link_in_a_files_place_is_no_file_even_with_its_content(root: Path) -> None:
    file = root / "releases/7/nginx.conf"
    file.rename(root / "kept.conf")
    file.symlink_to(root / "kept.conf")
    assert ("releases/7/nginx.conf", "missing") in how(root)


def test_a_folder_in_a_files_place_is_an_edit(root: Path) -> None:
    (root / "releases/7/nginx.conf").unlink()
    (root / "releases/7/nginx.conf").mkdir()
    assert ("releases/7/nginx.conf", "edited") in how(root)


def test_a_baseline_is_in_sync_with_itself_and_notices_a_new_file(root: Path) -> None:
    conf = str(root / "releases/7/nginx.conf")
    kept = baseline((conf, str(root / "missing")), (str(root / "releases/7/http"),))
    assert str(root / "missing") not in kept.files
    assert compared(kept, Looks().look(kept)).states == (State.IN_SYNC,)
    (root / "releases/7/http/new.conf").write_text("")
    edits = compared(kept, Looks().look(kept)).edits
    assert [(edit.path, edit.how) for edit in edits] == [
        (str(root / "releases/7/http/new.conf"), "added")
    ]


def test_folders_to_listen_to_are_those_around_everything(root: Path) -> None:
    assert folders_of(desired(root)) == {
        root,
        root / "releases",
        root / "releases/7",
        root / "releases/7/http",
    }
    (root / "releases/7/http/shop.conf").unlink()
    (root / "releases/7/http").rmdir()
    assert root / "releases/7" in folders_of(desired(root))


def test_a_folder_that_took_anothers_place_is_another(root: Path) -> None:
    before = identified(frozenset({root / "releases/7/http", root / "gone"}))
    (root / "releases/7/http").rename(root / "old")
    (root / "releases/7/http").mkdir()
    after = identified(frozenset({root / "releases/7/http"}))
    assert len(before) == 1
    assert before != after
