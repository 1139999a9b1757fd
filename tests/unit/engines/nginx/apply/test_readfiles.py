"""Files that nginx reads at its start: a change of any of them is seen, of others none is."""

import os
from pathlib import Path

import pytest

from headgate.engines.nginx.apply.readfiles import ReadFiles

CONF = """
load_module modules/lua.so;
error_log logs/error.log;
pid nginx.pid;
lock_file nginx.lock;
events {}
http {
    include http/*.conf;
    include sites/[a-m]?.conf;
    include tenants/*/*/site.conf;
    include mime.types;
    access_log logs/access.log;
    proxy_temp_path temp;
    ssl_crl tls/revoked.pem;
    ssl_dhparam tls/dh.pem;
}
"""
SITE = """
server {
    ssl_certificate tls/site.pem;
    ssl_certificate_key tls/site.key;
    ssl_certificate data:certificate;
    ssl_certificate tls/$ssl_server_name.pem;
    server_name site.pem;
    location / { auth_basic_user_file users; auth_basic_user_file; }
}
"""
READ = (
    "modules/lua.so",
    "nginx.conf",
    "http/site.conf",
    "mime.types",
    "tls/revoked.pem",
    "tls/dh.pem",
    "tls/site.pem",
    "tls/site.key",
    "users",
)
FOLDERS = ("http", "sites", "tenants", "tenants/a", "tenants/a/b")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A config whose files are all there, and one folder of a tenant."""
    for name in (*FOLDERS, "tls", "modules", "logs", "temp"):
        (tmp_path / name).mkdir(exist_ok=True, parents=True)
    for name in READ:
        (tmp_path / name).write_text("")
    (tmp_path / "nginx.conf").write_text(CONF)
    (tmp_path / "http/site.conf").write_text(SITE)
    return tmp_path


def test_each_file_that_is_read_is_watched_and_the_folder_of_each_pattern(folder: Path) -> None:
    files = ReadFiles.of(str(folder / "nginx.conf"))
    expected = sorted(str(folder / one) for one in (*READ, *FOLDERS))
    assert [path for path, _ in files.marks] == expected
    assert not files.have_changed()


@pytest.mark.parametrize("path", READ)
def test_a_file_that_is_written_or_removed_or_made_has_changed(folder: Path, path: str) -> None:
    conf = str(folder / "nginx.conf")
    before = ReadFiles.of(conf)
    (folder / path).write_text((folder / path).read_text() + "# more\n")
    written = ReadFiles.of(conf)
    assert before.have_changed() and not written.have_changed()
    content = (folder / path).read_text()
    (folder / path).unlink()
    assert written.have_changed()
    if path != "nginx.conf":
        missing = ReadFiles.of(conf)
        (folder / path).write_text(content)
        assert missing.have_changed()


@pytest.mark.parametrize(
    "path", ["http/new.conf", "sites/ab.conf", "tenants/b", "tenants/a/c", "tenants/a/b/site.conf"]
)
def test_a_new_match_of_a_pattern_is_a_change(folder: Path, path: str) -> None:
    files = ReadFiles.of(str(folder / "nginx.conf"))
    (folder / path).write_text("")
    assert files.have_changed()


def test_a_file_of_the_same_size_and_time_is_another_one_if_it_was_replaced(folder: Path) -> None:
    files = ReadFiles.of(str(folder / "nginx.conf"))
    was, fresh = folder / "tls/site.pem", folder / "fresh"
    fresh.write_text("")
    about = was.stat()
    fresh.rename(was)
    os.utime(was, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert files.have_changed()


def test_a_path_that_the_system_does_not_take_is_as_good_as_missing(folder: Path) -> None:
    (folder / "nginx.conf").write_text('http { auth_basic_user_file "a\\0b"; }')
    with (folder / "nginx.conf").open("ab") as conf:
        conf.write(b"ssl_crl a\0b;")
    assert not ReadFiles.of(str(folder / "nginx.conf")).have_changed()
