"""Files of another root: links stay below it."""

import os
from pathlib import Path

import pytest

from headgate.engines.nginx.instance.rooted import RootedFiles


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """`/etc/nginx` with sites linked as Debian does it, in a root of its own."""
    root = tmp_path / "root"
    (root / "etc/nginx/sites-available").mkdir(parents=True)
    (root / "etc/nginx/sites-enabled").mkdir()
    (root / "etc/nginx/sites-available/b").write_text("b")
    (root / "etc/nginx/sites-available/a").write_text("a")
    for name in "ab":
        link = root / "etc/nginx/sites-enabled" / name
        link.symlink_to(f"/etc/nginx/sites-available/{name}")
    return root


def test_an_absolute_link_is_followed_below_the_root(root: Path) -> None:
    files = RootedFiles(root)
    assert files.glob("/etc/nginx/sites-enabled/*") == [
        "/etc/nginx/sites-enabled/a",
        "/etc/nginx/sites-enabled/b",
    ]
    assert files.read("/etc/nginx/sites-enabled/b") == b"b"


def test_a_folder_that_is_a_link_is_followed_too(root: Path) -> None:
    (root / "conf").symlink_to("/etc/nginx")
    assert RootedFiles(root).glob("/conf/sites-available/[a]") == ["/conf/sites-available/a"]
    assert RootedFiles(root).read("/conf/sites-enabled/a") == b"a"


def test_nothing_leads_out_of_the_root(root: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (root / "out").symlink_to("../../../../secret")
    (root / "direct").symlink_to(tmp_path / "secret")
    for path in ("/out", "/direct", "/../secret"):
        with pytest.raises(FileNotFoundError):
            RootedFiles(root).read(path)


def test_a_loop_a_pipe_and_a_large_file_are_errors(root: Path) -> None:
    (root / "loop").symlink_to("/loop")
    os.mkfifo(root / "pipe")
    with (root / "large").open("wb") as file:
        file.truncate(17 * 1024 * 1024)
    for path in ("/loop", "/pipe", "/large", "/etc"):
        with pytest.raises(OSError, match=r".+"):
            RootedFiles(root).read(path)


def test_a_pattern_that_matches_nothing_is_empty(root: Path) -> None:
    assert RootedFiles(root).glob("/nowhere/*.conf") == []
    assert RootedFiles(root).glob("/etc/nginx/conf.d/*.conf") == []
