"""`headgate nginx import`: reports, writes a bundle, refuses, reads what runs."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from peers import peer
from ports import free_port
from typer.testing import CliRunner
from waiting import DEADLINE_S, until

from headgate.cli.program import program
from headgate.engines.nginx.imports import samples
from headgate.engines.nginx.imports.bundle import from_files
from headgate.engines.nginx.imports.rerender import rerender
from headgate.engines.nginx.imports.source import read_bundle

CONFIG = """\
events { }
http {
    server {
        listen 127.0.0.1:PORT;
        server_name a.example;
        location / { return 301 https://$host$request_uri; }
        location /files/ { alias /srv/; }
    }
}
"""
RUNNER = CliRunner()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "etc" / "nginx.conf"
    path.parent.mkdir()
    path.write_text(CONFIG.replace("PORT", "8080"))
    return path


def _run(*words: str | Path) -> tuple[int, str, str]:
    done = RUNNER.invoke(program(), ["nginx", "import", *map(str, words)])
    return done.exit_code, done.stdout, done.stderr


def test_the_report_says_what_became_model_and_what_was_kept_and_why(config: Path) -> None:
    code, out, _ = _run(config.parent)
    assert code == 0
    assert out.splitlines()[:5] == [
        f"{config}: 1 files, 9 directives",
        "model: 5 directives (1 listeners, 1 hosts, 1 routes)",
        "verbatim: 4 directives",
        "not imported: 2 routes answer 503 (not-imported)",
        f"  {config}:7: location kept: `alias` has no counterpart",
    ]
    assert f"{config}:2:1: low version_disclosure" in out


def test_the_report_ends_with_the_requests_that_would_be_answered_otherwise(config: Path) -> None:
    _, out, _ = _run(config.parent)
    assert out.splitlines()[-5:] == [
        "tried: 4 requests made from the locations",
        "  engine native: 2 would be answered otherwise",
        *(
            f"    1 times GET http://a.example:8080{path}: 503 not-imported: {config}:7:"
            " location /files/: `alias` has no counterpart"
            for path in ("/files/", "/files/x")
        ),
        "  engine nginx: none, it runs the original's directives word by word",
    ]


@pytest.mark.parametrize(
    ("zone", "line"),
    [
        ("limit_req_zone $binary_remote_addr zone=z:1m rate=10r/s;", "limit_req zone=z nodelay;"),
        ("limit_conn_zone $binary_remote_addr zone=z:1m;", "limit_conn z 10;"),
        ("", "auth_basic staff; auth_basic_user_file users;"),
        ("", "gzip on;"),
    ],
)
def test_requests_are_tried_where_routes_have_middlewares(
    config: Path, zone: str, line: str
) -> None:
    app = f"location /app/ {{ {line} proxy_pass http://127.0.0.1:1; }}"
    text = config.read_text().replace("server {", f"{zone} server {{", 1)
    config.write_text(text.replace("location /files/", f"{app} location /files/"))
    users = config.with_name("users")
    users.write_text("alice:$2b$04$0e856lVe4ANgjk9VYQGbvufRaupb9zxuOKCW5n9uFCwbWH9pMRuYW\n")
    users.chmod(0o600)
    code, out, _ = _run(config.parent)
    assert code == 0
    assert "location /app/" not in out
    assert "  engine native: 2 would be answered otherwise\n" in out


def test_an_engine_that_was_not_tried_is_said(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "_may_take", lambda one, _hosts: one.section == "routes")
    _, out, _ = _run(config.parent)
    assert "  engine native: not tried, " in out
    assert "would be answered otherwise" not in out


def test_the_requests_of_an_access_log_are_tried(config: Path, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    line = '192.0.2.1 - - [01/Jan/2026:00:00:00 +0000] "GET {} HTTP/1.1" 200 1 "-" "-"\n'
    log.write_text(line.format("/files/a") * 3 + line.format("/x"))
    words = ("--access-log", log, "--base", "https://a.example:8080")
    code, out, _ = _run(config, *words, "--output", "json")
    tried = json.loads(out)["tried"]
    assert code == 0
    assert (tried["requests"], tried["made"], tried["nginx"]) == (4, False, [])
    (one,) = tried["native"]
    assert (one["requests"], one["url"]) == (3, "https://a.example:8080/files/a")
    assert one["answer"].startswith("503 not-imported: ")
    assert "name what its requests were sent to: --base" in _run(config, "--access-log", log)[2]
    log.write_text("")
    code, _, complaint = _run(config, *words)
    assert (code, "; name another (" in complaint) == (2, True)
    assert _run(config, "--access-log", tmp_path / "none")[0] == 2


def test_json_has_the_same_and_every_kept_directive(config: Path) -> None:
    code, out, _ = _run(config, "--output", "json")
    report = json.loads(out)
    assert code == 0
    assert (report["directives"], report["modelled"]) == (9, 5)
    assert [one["name"] for one in report["verbatim"]] == ["events", "http", "location", "alias"]


def test_a_bundle_is_written_once_and_gives_the_config_back(config: Path, tmp_path: Path) -> None:
    before = config.read_bytes()
    folder = tmp_path / "new" / "bundle"
    assert _run(config, "--into", folder)[0] == 0
    assert config.read_bytes() == before
    assert sorted(p.name for p in folder.iterdir()) == ["headgate.toml", "import.json", "verbatim"]
    again = rerender(from_files(read_bundle(folder)))
    assert b"return 301 " in again[str(config)]
    code, _, complaint = _run(config, "--into", folder)
    assert (code, "not an empty directory" in complaint) == (1, True)


def test_a_broken_config_is_refused_with_its_place_and_nothing_is_written(
    config: Path, tmp_path: Path
) -> None:
    config.write_text("http {\n    server {\n        listen 80\n    }\n}\n")
    code, _, complaint = _run(config, "--into", tmp_path / "out")
    assert code == 78
    assert f'{config}:4:5: unexpected "}}"' in complaint
    assert not (tmp_path / "out").exists()


def test_what_nginx_printed_is_read_too(tmp_path: Path) -> None:
    dump = tmp_path / "dump"
    text = "# configuration file /etc/nginx/nginx.conf:\nevents { }\ninclude x;\n\n"
    dump.write_text(f"{text}# configuration file /etc/nginx/x:\nhttp {{ }}\n\n")
    code, out, _ = _run(dump)
    assert (code, out.splitlines()[0]) == (0, "/etc/nginx/nginx.conf: 2 files, 3 directives")


@pytest.mark.parametrize("words", [(), ("x", "--running")])
def test_a_path_or_running_is_wanted(words: tuple[str, ...]) -> None:
    assert _run(*words)[0] == 2


def test_a_missing_config_is_named(tmp_path: Path) -> None:
    code, _, complaint = _run(tmp_path / "gone")
    assert (code, "gone: No such file" in complaint) == (1, True)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    path = tmp_path / "nginx.conf"
    port = free_port()
    text = f"daemon off; pid {tmp_path}/pid; error_log {tmp_path}/error.log;\n"
    path.write_text(text + CONFIG.replace("PORT", str(port)))
    process = subprocess.Popen([peer("nginx"), "-c", path, "-e", tmp_path / "error.log"])
    try:
        until(lambda: (tmp_path / "pid").exists() and _is_master(process.pid), "nginx runs")
        yield process
    finally:
        process.terminate()
        process.wait(timeout=DEADLINE_S)


def _is_master(pid: int) -> bool:
    return b"nginx: master" in Path(f"/proc/{pid}/cmdline").read_bytes()


def test_the_running_nginx_is_imported_by_its_own_binary(
    running: subprocess.Popen[bytes],
) -> None:
    code, out, complaint = _run("--running", "--pid", str(running.pid))
    assert code == 0, complaint
    assert "model: 5 directives (1 listeners, 1 hosts, 1 routes)\n" in out


def test_a_pid_that_is_no_nginx_is_refused() -> None:
    code, _, complaint = _run("--running", "--pid", "1")
    assert (code, "no nginx to import" in complaint) == (1, True)
