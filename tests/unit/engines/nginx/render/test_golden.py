"""Golden files: a config → the exact text of its release, which the real nginx accepts.

`HEADGATE_WRITE_GOLDEN=1` writes what comes out now; read the difference before it is committed.
"""

import os
import re
from dataclasses import replace
from pathlib import Path, PurePath

import msgspec
import pytest
from memory_files import MemoryFiles
from nginx_engine import (
    NotRenderedError,
    capabilities,
    checked,
    expressed,
    stream_capabilities,
    target,
    write_release,
)
from tls_authority import Authority

from headgate.compile.load import load
from headgate.compile.loaded import Loaded
from headgate.engines.nginx.common.types import Capabilities, Generation, Rendered
from headgate.engines.nginx.render import renumbered
from headgate.nginxtext.parse import parse
from headgate.nginxtext.writer import render

GOLDEN = Path(__file__).parents[4] / "golden" / "nginx"
CASES = sorted(GOLDEN.glob("*.toml"))
WRITE = os.environ.get("HEADGATE_WRITE_GOLDEN") == "1"
SAME_FOR_ALL = ("maps/request.conf", "status.conf", "generation.conf")
"""Files that only the first case shows."""

DEBIAN_12 = Capabilities(
    binary_digest="",
    build="",
    version="",
    accepted=frozenset((GOLDEN / "accepted.txt").read_text(encoding="utf-8").split()),
)
PAIR: dict[str, str | bytes] = {
    "tls/example.pem": "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
    "tls/example.key": "-----BEGIN EC PRIVATE KEY-----\nAA==\n-----END EC PRIVATE KEY-----\n",
    "tls/ca.pem": "-----BEGIN CERTIFICATE-----\nAB==\n-----END CERTIFICATE-----\n",
}


def loaded(case: Path, files: dict[str, str | bytes]) -> Loaded:
    """A case with these files beside it."""
    found = load([PurePath(case.name)], MemoryFiles({**files, case.name: case.read_bytes()}), {})
    assert found.plan is not None, found.diagnostics
    return found


def shown(made: Rendered, *, is_first: bool) -> str:
    """A release as one text, keys' content left out."""
    parts = [f"note: {note}\n" for note in made.notes]
    parts += [f"zone: {name}: {what}\n" for name, what in made.zones.items()]
    for file in made.files:
        if is_first or file.path not in SAME_FOR_ALL:
            text = "" if file.path.startswith("certs/") else file.content.decode()
            parts.append(f"==> {file.path} {file.mode:o} <==\n{text}")
    return "".join(parts)


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_a_release_is_this_text(case: Path) -> None:
    on = target("/state/nginx", DEBIAN_12, user="www-data", system_roots="/etc/ssl/roots.pem")
    text = shown(expressed(loaded(case, PAIR), on), is_first=case.stem == "minimal")
    expected = case.with_suffix(".txt")
    if WRITE:
        expected.write_text(text, encoding="utf-8")
    assert text == expected.read_text(encoding="utf-8")


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_only_the_generation_differs_between_two_renderings(case: Path) -> None:
    found = loaded(case, PAIR)
    first, second = (
        expressed(found, target("/state/nginx", DEBIAN_12, number=number)) for number in (1, 2)
    )
    differing = [a.path for a, b in zip(first.files, second.files, strict=True) if a != b]
    assert differing == ["generation.conf"]
    assert renumbered(first, Generation(2)) == second


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_what_is_rendered_reads_back_as_the_same_tree(case: Path) -> None:
    for file in expressed(loaded(case, PAIR), target("/state/nginx", DEBIAN_12)).files:
        if file.path.endswith(".conf"):
            assert render(parse(file.content, file.path).nodes) == file.content


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_the_real_nginx_accepts_it(case: Path, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("pair", "example.com", "www.example.com")
    files: dict[str, str | bytes] = {
        "tls/example.pem": pair.cert_file.read_bytes(),
        "tls/example.key": pair.key_file.read_bytes(),
        "tls/ca.pem": authority.ca_file.read_bytes(),
    }
    text = case.read_text(encoding="utf-8").replace("/var/log/headgate", str(tmp_path))
    there = tmp_path / case.name
    there.write_text(text, encoding="utf-8")
    root = tmp_path / "state"
    root.mkdir()
    able = stream_capabilities() if case.stem.startswith("tcp") else capabilities()
    on = target(str(root), able, user="root" if os.geteuid() == 0 else None)
    found = checked(write_release(expressed(loaded(there, files), on), root))
    assert found.returncode == 0, found.stderr
    assert "[warn]" not in found.stderr, found.stderr


GUEST = """
error_log {root}/logs/error.log;
pid {root}/run/nginx.pid;
events {{ worker_connections 512; }}
http {{
    map_hash_bucket_size 512;
    variables_hash_max_size 4096;
    variables_hash_bucket_size 256;
    include {root}/current/http.conf;
    server {{ listen unix:{root}/run/theirs.sock; }}
}}
"""


def test_as_a_guest_only_one_line_of_somebody_else_s_config_includes_it(tmp_path: Path) -> None:
    root = tmp_path / "state"
    root.mkdir()
    on = target(str(root), capabilities(), mode="guest")
    made = expressed(loaded(GOLDEN / "routing.toml", PAIR), on)
    assert "nginx.conf" not in {file.path for file in made.files}
    folder = write_release(made, root)
    (root / "nginx.conf").write_text(GUEST.format(root=root), encoding="utf-8")
    found = checked(folder, root / "nginx.conf")
    assert found.returncode == 0, found.stderr


def test_keys_are_readable_by_their_owner_alone() -> None:
    made = expressed(loaded(GOLDEN / "tls.toml", PAIR), target("/state/nginx", DEBIAN_12))
    modes = {file.path: file.mode for file in made.files}
    assert {mode for path, mode in modes.items() if path.endswith(".key")} == {0o600}
    assert {mode for path, mode in modes.items() if not path.endswith(".key")} == {0o640}


def test_what_cannot_be_expressed_names_the_field(tmp_path: Path) -> None:
    case = tmp_path / "c.toml"
    case.write_text(
        '[listeners.web]\naddress = "127.0.0.1:1"\ndefault = true\n'
        'client_ip = { trusted = ["10.0.0.0/8"], header = "forwarded" }\n'
        '[routes.r]\nupstream = "u"\ntimeouts = { request = "5s" }\n'
        "match = [{ headers = { x_a = { present = true } } }]\n"
        '[upstreams.u]\nbalance = "random"\nlimits = { connections = 5, queue = 7 }\n'
        "health_check = {}\noutlier_detection = {}\npanic_threshold = 50\n"
        'slow_start = "30s"\nagent_check = { port = 9000 }\n'
        'circuit_breaker = { per = "upstream" }\n'
        'endpoints = ["127.0.0.1:1", { address = "127.0.0.1:2", backup = true }]\n'
    )
    with pytest.raises(NotRenderedError) as caught:
        expressed(loaded(case, {}), target("/state/nginx", DEBIAN_12))
    assert [(f.kind, f.name, f.path) for f in caught.value.found] == [
        ("listener", "web", "client_ip.header"),
        ("route", "r", "match[0].headers.x_a"),
        ("route", "r", "timeouts.request"),
        ("upstream", "u", "agent_check"),
        ("upstream", "u", "circuit_breaker.per"),
        ("upstream", "u", "endpoints[1].backup"),
        ("upstream", "u", "limits.connections"),
        ("upstream", "u", "limits.queue"),
        ("upstream", "u", "slow_start"),
    ]


def test_endpoints_that_take_nothing_now_are_down(tmp_path: Path) -> None:
    case = tmp_path / "c.toml"
    case.write_text(
        '[listeners.web]\naddress = "127.0.0.1:1"\ndefault = true\n'
        '[routes.r]\nupstream = "u"\n[upstreams.u]\nhealth_check = {}\n'
        'endpoints = ["127.0.0.1:1", "app.internal:2"]\n'
    )
    on = replace(
        target(str(tmp_path / "state"), capabilities()),
        addresses={"app.internal": ("10.0.0.1", "10.0.0.2")},
        out={"u": frozenset({"127.0.0.1:1", "10.0.0.2:2"})},
    )
    made = expressed(loaded(case, {}), on)
    (text,) = (file.content.decode() for file in made.files if file.path == "upstreams.conf")
    assert re.findall(r"server (\S+) max_fails=0( down)?;", text) == [
        ("127.0.0.1:1", " down"),
        ("10.0.0.1:2", ""),
        ("10.0.0.2:2", " down"),
    ]
    (tmp_path / "state").mkdir()
    found = checked(write_release(made, tmp_path / "state"))
    assert found.returncode == 0, found.stderr


def test_checks_of_names_that_nginx_resolves_itself_are_refused(tmp_path: Path) -> None:
    case = tmp_path / "c.toml"
    case.write_text(
        '[node]\nresolver = { servers = ["127.0.0.1:53"] }\n'
        '[listeners.web]\naddress = "127.0.0.1:1"\ndefault = true\n'
        '[routes.r]\nupstream = "u"\n[upstreams.u]\nhealth_check = {}\n'
        'endpoints = ["app.internal:2"]\n'
    )
    able = msgspec.structs.replace(DEBIAN_12, accepted=DEBIAN_12.accepted | {"resolve"})
    with pytest.raises(NotRenderedError, match="health_check: nginx resolves the names itself"):
        expressed(loaded(case, {}), target("/state/nginx", able))
