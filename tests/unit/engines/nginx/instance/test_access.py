"""Whether a user may read a file: owners, modes, links, a root of its own."""

import os
from pathlib import Path

import pytest

from headgate.engines.nginx.instance.access import kept_by, may_read
from headgate.engines.nginx.instance.procfs import Rights

ME = os.geteuid()
OTHER = 54321
STRANGER = Rights(OTHER, OTHER, frozenset())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with `/a/b/file`, readable for everybody."""
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/file").write_text("")
    for path in (tmp_path, tmp_path / "a", tmp_path / "a/b"):
        path.chmod(0o755)
    (tmp_path / "a/b/file").chmod(0o644)
    return tmp_path


def test_everybody_may_read_what_is_open(root: Path) -> None:
    assert may_read(root, "/a/b/file", STRANGER)
    assert may_read(root, "/a/./b/../b/file", STRANGER)


def test_each_folder_on_the_way_counts(root: Path) -> None:
    (root / "a").chmod(0o700)
    assert not may_read(root, "/a/b/file", STRANGER)
    assert kept_by(root, "/a/b/file", STRANGER) == "/a"
    (root / "a").chmod(0o711)
    assert may_read(root, "/a/b/file", STRANGER)
    assert kept_by(root, "/a/b/file", STRANGER) is None
    assert kept_by(root, "/a/b/gone", STRANGER) == "/a/b/gone"


def test_the_owners_bits_go_before_the_groups_and_the_others(root: Path) -> None:
    owner = Rights(ME or OTHER, OTHER, frozenset())
    file = root / "a/b/file"
    if ME == 0:
        os.chown(file, OTHER, -1)
        owner = STRANGER
    file.chmod(0o044)
    assert not may_read(root, "/a/b/file", owner)
    file.chmod(0o400)
    assert may_read(root, "/a/b/file", owner)


def test_a_further_group_is_enough(root: Path) -> None:
    file = root / "a/b/file"
    file.chmod(0o640)
    member = Rights(OTHER, OTHER, frozenset({file.stat().st_gid}))
    assert may_read(root, "/a/b/file", member)
    assert not may_read(root, "/a/b/file", STRANGER)


def test_root_reads_everything_that_is_there(root: Path) -> None:
    (root / "a").chmod(0o000)
    everything = Rights(0, 0, frozenset())
    if ME == 0:
        assert may_read(root, "/a/b/file", everything)
    assert not may_read(root, "/nothing", everything)


def test_an_absolute_link_stays_in_that_root(root: Path) -> None:
    (root / "link").symlink_to("/a/b/file")
    assert may_read(root, "/link", STRANGER)
    (root / "a").chmod(0o700)
    assert not may_read(root, "/link", STRANGER)


def test_a_way_up_out_of_the_root_ends_at_the_root(root: Path) -> None:
    (root / "up").symlink_to("../../../../a/b/file")
    assert may_read(root, "/up", STRANGER)


def test_links_in_a_circle_are_not_followed_forever(root: Path) -> None:
    (root / "x").symlink_to("y")
    (root / "y").symlink_to("x")
    assert not may_read(root, "/x", STRANGER)
