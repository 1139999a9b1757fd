"""A release's config as a tree: its directives, where they stand, and what its paths mean."""

from pathlib import Path

import pytest
from written_conf import Write, writer

from headgate.engines.nginx.apply.causes import Finding
from headgate.engines.nginx.apply.conftree import DiskFiles, read_conf

SITE = b"# route shop\nserver { listen 80; location / { root \xff; } }\nserver { listen 81; }\n"


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A release in a folder of its own; the folder `current` is another."""
    folder = tmp_path / "1"
    (folder / "http").mkdir(parents=True)
    (folder / "http" / "a.conf").write_bytes(SITE)
    (folder / "http" / "b.conf").write_bytes(b"server { listen 82; }\n")
    (tmp_path / "current" / "http").mkdir(parents=True)
    (tmp_path / "current" / "http" / "old.conf").write_bytes(b"server { listen 79; }\n")
    text = f"worker_processes 3;\nhttp {{ include {tmp_path}/current/http/*.conf; }}\n"
    (folder / "nginx.conf").write_text(text)
    return folder


def test_every_directive_has_its_place_and_what_is_around_it(release: Path) -> None:
    moved = DiskFiles(str(release.parent / "current"), str(release))
    conf = read_conf(release / "nginx.conf", moved)
    site = f"{release.parent}/current/http"
    assert [(one.at.file, one.args, one.around) for one in conf.all("listen", "root")] == [
        (f"{site}/a.conf", ["80"], (b"http", b"server")),
        (f"{site}/a.conf", ["81"], (b"http", b"server")),
        (f"{site}/b.conf", ["82"], (b"http", b"server")),
        (f"{site}/a.conf", ["\udcff"], (b"http", b"server", b"location")),
    ]
    assert [one.directive.line for one in conf.all("server")] == [2, 3, 1]
    assert list(conf.all("upstream")) == []


def test_without_a_move_files_are_read_where_they_are(release: Path) -> None:
    conf = read_conf(release / "nginx.conf")
    assert [one.args for one in conf.all("listen")] == [["79"]]
    files = DiskFiles()
    assert files.read(str(release / "http/a.conf")) == SITE
    assert files.glob(f"{release}/http/*") == [f"{release}/http/{one}.conf" for one in "ab"]
    with pytest.raises(FileNotFoundError):
        files.read(str(release / "none"))


def test_only_what_is_below_the_folder_is_read_elsewhere(release: Path) -> None:
    current = str(release.parent / "current")
    files = DiskFiles(current, str(release))
    assert files.read(f"{current}/http/a.conf") == SITE
    assert files.glob(f"{current}/http/*") == [f"{current}/http/{one}.conf" for one in "ab"]
    Path(f"{current}-too").write_text("beside it")
    assert files.read(f"{current}-too") == b"beside it"


def test_paths_are_relative_to_the_folder_of_the_main_file(release: Path) -> None:
    conf = read_conf(release / "nginx.conf")
    assert conf.folder == release
    assert (conf.path("a/b"), conf.path("/a")) == (release / "a/b", Path("/a"))
    assert conf.relative(f"{release}/http/a.conf") == "http/a.conf"
    assert conf.relative("/etc/mime.types") == "/etc/mime.types"


def test_a_finding_names_the_object_above_its_directive(release: Path) -> None:
    (release / "nginx.conf").write_text("http { include http/a.conf; }\n")
    conf = read_conf(release / "nginx.conf")
    first, _ = conf.all("server")
    expected = Finding("code", "text", "http/a.conf", 2, "route shop", is_error=False)
    assert conf.finding(first, "code", "text", is_error=False) == expected
    assert conf.finding(None, "code", "text") == Finding("code", "text")


def test_the_text_is_what_was_read_and_else_that_of_the_file(release: Path) -> None:
    (release / "nginx.conf").write_text("http { include http/a.conf; }\n")
    conf = read_conf(release / "nginx.conf")
    (release / "http" / "a.conf").unlink()
    assert conf.text(f"{release}/http/a.conf") == SITE.decode(errors="replace")
    assert conf.text(f"{release}/http/b.conf") == "server { listen 82; }\n"
    with pytest.raises(FileNotFoundError):
        conf.text(f"{release}/http/c.conf")


@pytest.mark.parametrize(
    ("main", "workers"),
    [
        ("worker_processes 12;", 12),
        ("worker_processes auto;", None),
        ("", 1),
        ("events { worker_processes 5; }", 1),
    ],
)
def test_the_workers_are_those_of_the_main_block(
    tmp_path: Path, main: str, workers: int | None
) -> None:
    write: Write = writer(tmp_path)
    assert write(main=main).workers() == workers
