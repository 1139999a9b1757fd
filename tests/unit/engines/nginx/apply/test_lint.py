"""LINT on hand-written configs: what it finds, where, and what it leaves alone."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tls_authority import Authority

from headgate.engines.nginx.apply import lint, lint_files
from headgate.engines.nginx.apply.causes import Finding
from headgate.engines.nginx.apply.conftree import Conf, DiskFiles, read_conf

Write = Callable[..., Conf]
NOW_S = 1_900_000_000.0


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a config of some files and reads it."""

    def make(folder: str = "a", **files: str) -> Conf:
        base = tmp_path / folder
        for name, text in {"nginx.conf": "http { include http/*.conf; }", **named(files)}.items():
            path = base / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return read_conf(base / "nginx.conf")

    return make


def named(files: dict[str, str]) -> dict[str, str]:
    return {
        "nginx.conf" if name == "main" else f"http/{name}.conf": text
        for name, text in files.items()
    }


def codes(found: Iterator[Finding]) -> list[tuple[str, str, int]]:
    return [(one.code, one.file, one.line) for one in found]


def test_problems_of_the_tree_are_told_with_their_place(write: Write) -> None:
    assert codes(lint.structure(write(site="# route a\nserver {"))) == [
        ("syntax", "http/site.conf", 2)
    ]
    missing = write("b", main="\ninclude none.conf;")
    assert codes(lint.structure(missing)) == [("syntax", "nginx.conf", 2)]


@pytest.mark.parametrize(
    ("one", "two", "is_found"),
    [
        ("listen 80; server_name a b;", "listen 80; server_name B c;", True),
        ("listen 80; server_name a;", "listen 81; server_name a;", False),
        ("listen 80; server_name a;", "listen 80; server_name b;", False),
        ("listen 80;", "listen 80;", True),
        ("listen 80; listen 81; server_name a;", "listen 81 ssl; server_name a;", True),
    ],
)
def test_a_name_twice_on_one_address(write: Write, one: str, two: str, is_found: bool) -> None:
    conf = write(one=f"server {{ {one} }}", two=f"\nserver {{ {two} }}")
    expected = [("duplicate_name", "http/two.conf", 2)] if is_found else []
    assert codes(lint.duplicate_names(conf)) == expected


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        (
            "limit_req_zone $a zone=z:1m rate=1r/s;",
            "limit_req_zone $b zone=z:1m rate=1r/s;",
            "zone_clash",
        ),
        ("limit_req_zone $a zone=z:1m rate=1r/s;", "limit_req_zone $a zone=z:1m rate=9r/s;", None),
        ("limit_req_zone $a zone=z:1m rate=1r/s;", "limit_req_zone $b zone=y:1m rate=1r/s;", None),
        ("limit_conn_zone $a zone=z:1m;", "limit_conn_zone $b zone=z:1m;", "zone_clash"),
        ("limit_conn_zone $a zone=z:1m;", "limit_conn_zone $a zone=z:2m;", "zone_resized"),
        (
            "proxy_cache_path /a keys_zone=z:1m;",
            "proxy_cache_path /b keys_zone=z:1m;",
            "zone_clash",
        ),
        (
            "proxy_cache_path /a levels=1:2 keys_zone=z:1m;",
            "proxy_cache_path /a levels=1 keys_zone=z:1m;",
            "zone_clash",
        ),
        (
            "proxy_cache_path /a keys_zone=z:1m;",
            "proxy_cache_path /a keys_zone=z:1m inactive=5m;",
            None,
        ),
    ],
)
def test_zones_against_those_that_run(
    write: Write, before: str, after: str, code: str | None
) -> None:
    found = lint.zones(write("a", z=after), write("b", z=before), {}, {})
    assert [one.code for one in found] == ([code] if code else [])


def test_zones_as_the_renderer_tells_them(write: Write) -> None:
    found = list(lint.zones(write(), None, {"z": "a", "y": "b"}, {"z": "c", "x": "d"}))
    assert [one.code for one in found] == ["zone_clash"]
    assert '"z"' in found[0].text


def test_a_library_that_is_not_nginxs_own_is_refused_before_any_test(write: Write) -> None:
    conf = write(main="load_module modules/ngx_stream_module.so;\nload_module /tmp/evil.so;\n")
    found = list(lint.modules(conf, lambda value: value.startswith("modules/")))
    assert codes(iter(found)) == [("foreign_module", "nginx.conf", 2)]
    assert found[0].is_error
    assert "/tmp/evil.so" in found[0].text


def test_hosts_that_nginx_resolves_when_it_starts(write: Write) -> None:
    text = """
upstream named { server one.example:80; server 10.0.0.1:80; server unix:/x; server [::1]:80;
    server later.example:80 resolve; }
server {
    location /a { proxy_pass http://named; }
    location /b { proxy_pass http://two.example:8080/path; }
    location /c { proxy_pass http://$host; }
    location /d { grpc_pass three.example:50051; }
    location /e { proxy_pass https://127.0.0.1:8443; }
}"""
    found = list(lint.hosts(write(site=text), lambda host: host != "two.example"))
    assert {(one.text.split('"')[1], one.code, one.is_error) for one in found} == {
        ("one.example", "resolved_at_start", False),
        ("two.example", "unresolvable", True),
        ("three.example", "resolved_at_start", False),
    }


def test_a_working_directory_that_is_missing(write: Write, tmp_path: Path) -> None:
    assert codes(lint.worker_start(write(main="working_directory /no/such;"))) == [
        ("worker_init", "nginx.conf", 1)
    ]
    there = write("b", main=f"working_directory {tmp_path};")
    assert codes(lint.worker_start(there)) == []


def test_pairs_that_do_not_fit_and_times_that_do(write: Write, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    one, two = authority.issue("one", "a"), authority.issue("two", "a", days=3)
    text = "server {{ ssl_certificate {c}; ssl_certificate_key {k}; }}"
    fits = write("b", a=text.format(c=one.cert_file, k=one.key_file))
    now = one.cert_file.stat().st_mtime
    assert codes(lint_files.certificates(fits, now)) == []
    differs = write("c", a=text.format(c=one.cert_file, k=two.key_file))
    (found,) = lint_files.certificates(differs, now)
    assert (found.code, found.is_error) == ("certificate", True)
    soon = write("d", a=text.format(c=two.cert_file, k=two.key_file))
    assert [(one.code, one.is_error) for one in lint_files.certificates(soon, now)] == [
        ("expires_soon", False)
    ]
    assert [one.code for one in lint_files.certificates(fits, NOW_S)] == ["expired"]
    missing = write("e", a=text.format(c="none.pem", k="none.key"))
    assert [one.code for one in lint_files.certificates(missing, now)] == ["certificate"]


def test_two_pairs_of_a_block_go_by_their_order(write: Write, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    one, two = authority.issue("one", "a"), authority.issue("two", "a", is_rsa=True)
    text = (
        f"server {{ ssl_certificate {one.cert_file}; ssl_certificate {two.cert_file};"
        f" ssl_certificate_key {one.key_file}; ssl_certificate_key {two.key_file}; }}"
    )
    assert codes(lint_files.certificates(write(a=text), one.cert_file.stat().st_mtime)) == []


def test_certificates_behind_variables(write: Write, tmp_path: Path) -> None:
    folder = tmp_path / "certs"
    folder.mkdir()
    for name in ("a.example.pem", "b.example.pem"):
        (folder / name).write_text("")
    text = "server {{ server_name {names}; ssl_certificate {folder}/$ssl_server_name.pem; }}"
    both = write("a", a=text.format(folder=folder, names="a.example b.example *.example ~x _"))
    assert codes(lint_files.variable_certificates(both, lambda _: None)) == []
    one_more = write("b", a=text.format(folder=folder, names="a.example c.example"))
    (found,) = lint_files.variable_certificates(one_more, lambda _: None)
    assert f"{folder}/c.example.pem is missing" in found.text
    (found, *_) = lint_files.variable_certificates(both, lambda path: path)
    assert "cannot be read by the workers' user" in found.text
    other = write("c", a="server { ssl_certificate /no/such/$http_x.pem; }")
    assert [one.code for one in lint_files.variable_certificates(other, lambda _: None)] == [
        "certificate"
    ]


def test_password_files(write: Write, tmp_path: Path) -> None:
    conf = write(a="server { auth_basic_user_file users; }\nserver { auth_basic_user_file $x; }")
    assert codes(lint_files.password_files(conf, lambda _: None)) == [
        ("password_file", "http/a.conf", 1)
    ]
    (tmp_path / "a" / "users").write_text("")
    asked: list[str] = []

    def keeps(path: str) -> str | None:
        asked.append(path)
        return "/closed" if os.path.basename(path) == "users" else None  # noqa: PTH119 - a text

    (found,) = lint_files.password_files(conf, keeps)
    assert 'cannot be read by the workers\' user, who cannot pass through "/closed"' in found.text
    assert "chmod o+x /closed" in found.text
    assert asked == [str(tmp_path / "a" / "users")]


@pytest.mark.parametrize(
    ("text", "workers"),
    [("worker_processes 4;", 4), ("worker_processes auto;", None), ("", 1)],
)
def test_how_many_workers_there_will_be(write: Write, text: str, workers: int | None) -> None:
    assert write(main=text).workers() == workers


def test_a_config_of_others_is_read_as_it_will_be(write: Write, tmp_path: Path) -> None:
    write("current", site="server { listen 1; }")
    write("next", site="server { listen 2; }", other="server { listen 3; }")
    entry = tmp_path / "theirs.conf"
    entry.write_text(f"http {{ include {tmp_path}/current/http/*.conf; }}")
    files = DiskFiles(f"{tmp_path}/current", f"{tmp_path}/next")
    listens = [one.args[0] for one in read_conf(entry, files).all("listen")]
    assert sorted(listens) == ["2", "3"]
