"""The file that nginx begins with, and what is in it while a release is not proven."""

from pathlib import Path

import pytest

from headgate.engines.nginx.endpoints.kept import FILE, Kept, KeptFile
from headgate.engines.nginx.endpoints.live import LiveEndpoints
from headgate.engines.nginx.endpoints.socket import NotPushedError

KEY = "0123456789abcdef" * 2
ONE = {"app": ("1 0 127.0.0.1:1",)}
TWO = {"app": ("1 0 127.0.0.1:2",), "new": ("1 0 127.0.0.1:3",)}


def live(root: Path) -> LiveEndpoints:
    """Endpoints of an nginx that does not run."""
    return LiveEndpoints(root, str(root / "nobody.sock"))


@pytest.mark.parametrize("kept", [Kept(KEY, {}), Kept(KEY, ONE), Kept(KEY, ONE, 7, TWO)])
def test_what_is_written_is_read(tmp_path: Path, kept: Kept) -> None:
    file = KeptFile(tmp_path)
    file.write(kept)
    assert file.read() == kept
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize("text", [None, b"", b"key x\n", b"key " + KEY.encode() + b"\n1 0 a\n"])
def test_a_damaged_file_is_begun_anew_with_another_key(tmp_path: Path, text: bytes | None) -> None:
    if text is not None:
        (tmp_path / FILE).write_bytes(text)
    kept = KeptFile(tmp_path).read()
    assert (kept.table, kept.pending) == ({}, 0)
    assert len(kept.key) == 32
    assert kept.key != KEY


def test_what_comes_counts_for_its_generation_until_it_is_taken_back(tmp_path: Path) -> None:
    file = KeptFile(tmp_path)
    file.write(Kept(KEY, ONE))
    live(tmp_path).keep(TWO, 7)
    assert file.read() == Kept(KEY, ONE, 7, TWO)
    live(tmp_path).take_back(TWO)
    assert file.read() == Kept(KEY, ONE)


def test_what_came_with_the_current_release_stays(tmp_path: Path) -> None:
    """The node was killed after a release was proven, before its endpoints were for good."""
    file = KeptFile(tmp_path)
    file.write(Kept(KEY, ONE, 7, TWO))
    (tmp_path / "current").symlink_to(f"releases/7-{'0' * 12}")
    live(tmp_path).keep(ONE, 8)
    assert file.read() == Kept(KEY, TWO, 8, ONE)


def test_an_nginx_that_does_not_answer_takes_nothing_and_the_file_is_as_before(
    tmp_path: Path,
) -> None:
    file = KeptFile(tmp_path)
    file.write(Kept(KEY, ONE))
    one = live(tmp_path)
    assert one.differs(TWO)
    with pytest.raises(NotPushedError):
        one.push(TWO)
    assert file.read() == Kept(KEY, ONE)
    assert (one.figures.applied, one.figures.failed) == (0, 1)


def test_before_a_start_what_was_lost_is_written_again(tmp_path: Path) -> None:
    file = KeptFile(tmp_path)
    live(tmp_path).ensure(ONE)
    assert file.read().table == ONE
    live(tmp_path).ensure({"app": ()})
    assert file.read().table == ONE


def test_upstreams_of_releases_on_disk_are_needed(tmp_path: Path) -> None:
    for number, names in enumerate(("app\n", "app\nold one\n", "")):
        folder = tmp_path / f"releases/{number}/lua"
        folder.mkdir(parents=True)
        (folder / "upstreams").write_text(names)
    assert KeptFile(tmp_path).needed() == {"app", "old one"}
