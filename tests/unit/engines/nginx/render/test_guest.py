"""A guest's text holds in an `http` block of others that would open what it closes."""

import re
from pathlib import Path

import pytest
from nginx_engine import capabilities, checked, expressed, loaded_file, target, write_release
from tls_authority import Authority

from headgate.engines.nginx.common.types import Capabilities, Mode

ACCEPTED = Path(__file__).parents[4] / "golden" / "nginx" / "accepted.txt"
DEBIAN_12 = Capabilities("", "", "", frozenset(ACCEPTED.read_text(encoding="utf-8").split()))

CONFIG = """
[listeners.web]
address = "127.0.0.1:8000"
default = true
[listeners.proxied]
address = "127.0.0.1:8001"
client_ip = { trusted = ["10.0.0.0/8"] }
timeouts = { head = "5s", idle = "7s" }
[listeners.secure]
address = "127.0.0.1:8443"
tls = { default_certificate = "site" }
[certificates.site]
cert_file = "site.pem"
key_file = "site.key"
[hosts."a.example"]
tls_policy = "staff"
[tls_policies.staff]
client_auth = { ca_file = "ca.pem" }
[routes.r]
hosts = ["a.example"]
listeners = ["secure"]
respond = { body = "r" }
[routes.plain]
hosts = ["b.example"]
listeners = ["web", "proxied"]
respond = { body = "plain" }
"""

THEIRS = """
error_log {root}/logs/error.log;
pid {root}/run/nginx.pid;
events {{ worker_connections 512; }}
http {{
    satisfy any;
    limit_req_dry_run on;
    limit_conn_dry_run on;
    set_real_ip_from 0.0.0.0/0;
    ssl_trusted_certificate {root}/ca.pem;
    ssl_early_data on;
    ssl_client_certificate {root}/ca.pem;
    ssl_verify_client optional;
    ssl_crl {root}/crl.pem;
    proxy_pass_request_headers off;
    proxy_pass_request_body off;
    mirror /theirs;
    include {root}/current/http.conf;
}}
"""


def files(folder: Path, able: Capabilities, mode: Mode = "guest") -> dict[str, str]:
    """The release of the config, by file; it is written too."""
    signer = Authority(folder)
    pair = signer.issue("site", "a.example")
    authority = pair.cert_file.read_bytes()
    root = folder / "state"
    root.mkdir()
    for name, content in (
        ("site.pem", authority),
        ("site.key", pair.key_file.read_bytes()),
        ("ca.pem", authority),
        ("state/ca.pem", authority),
        ("state/crl.pem", signer.revocations().read_bytes()),
        ("c.toml", CONFIG.encode()),
    ):
        (folder / name).write_bytes(content)
    made = expressed(loaded_file(folder / "c.toml"), target(str(root), able, mode=mode))
    write_release(made, root)
    return {one.path: one.content.decode() for one in made.files}


RESET = """# Whatever others have in http
satisfy all;
recursive_error_pages off;
proxy_intercept_errors off;
limit_req_dry_run off;
limit_conn_dry_run off;
proxy_cache off;
ssl_early_data off;
mirror off;
proxy_pass_request_headers on;
proxy_pass_request_body on;
"""


def test_the_defaults_reset_what_would_open_a_route(tmp_path: Path) -> None:
    assert RESET in files(tmp_path, DEBIAN_12)["defaults.conf"]


def test_an_nginx_without_a_module_has_no_line_for_it(tmp_path: Path) -> None:
    text = files(tmp_path, Capabilities("", "", "", DEBIAN_12.accepted - {"limit_req_dry_run"}))
    assert "limit_req_dry_run" not in text["defaults.conf"]
    assert "limit_conn_dry_run off;" in text["defaults.conf"]


def test_peers_are_believed_only_where_the_listener_says_so(tmp_path: Path) -> None:
    made = files(tmp_path, DEBIAN_12)
    servers = [
        one
        for path, text in made.items()
        if path.startswith("http/")
        for one in text.split("\nserver {\n")[1:]
    ]
    assert len(servers) == 6
    for one in servers:
        trusted = ["10.0.0.0/8"] if "127.0.0.1:8001" in one else ["255.255.255.255"]
        assert re.findall(r"set_real_ip_from (\S+);", one) == trusted


def test_clients_are_verified_with_the_authorities_of_their_policy_alone(tmp_path: Path) -> None:
    """Otherwise nginx takes those of others' `ssl_trusted_certificate` as well."""
    text = files(tmp_path, DEBIAN_12)["http/a.example.conf"]
    (ours,) = (line.split()[1] for line in text.splitlines() if "ssl_client_certificate" in line)
    assert f"ssl_trusted_certificate {ours}" in text


def test_each_server_with_tls_says_whose_certificates_count(tmp_path: Path) -> None:
    """Otherwise clients of others' CAs have a subject here, or everybody is asked for one."""
    made = files(tmp_path, DEBIAN_12)
    texts = [text for path, text in made.items() if path.startswith("http/")]
    servers = [one for text in texts for one in text.split("\nserver {\n")[1:]]
    found = [re.findall(r"ssl_(verify_client|crl) (\S+);", one) for one in servers]
    asked = [("verify_client", "on"), ("crl", '""')]
    assert [one for one in found if "ssl_certificate " in servers[found.index(one)]]
    for one, said in zip(servers, found, strict=True):
        is_staff = "ssl_client_certificate" in one
        has_tls = "ssl_certificate " in one
        assert said == (asked if is_staff else [("verify_client", "off")] if has_tls else [])


@pytest.mark.parametrize("name", ["defaults.conf", "http/a.example.conf"])
def test_a_whole_nginx_conf_of_ours_needs_none_of_it(tmp_path: Path, name: str) -> None:
    text = files(tmp_path, DEBIAN_12, "full")[name]
    for one in ("satisfy", "dry_run", "255.255.255.255", "ssl_trusted_certificate", "ssl_crl"):
        assert one not in text


def test_nginx_accepts_it_beside_what_others_have(tmp_path: Path) -> None:
    files(tmp_path, capabilities())
    root = tmp_path / "state"
    (root / "nginx.conf").write_text(THEIRS.format(root=root), encoding="utf-8")
    found = checked(root / "current", root / "nginx.conf")
    assert found.returncode == 0, found.stderr


def test_a_listener_of_a_guest_has_times_of_its_own(tmp_path: Path) -> None:
    """nginx refuses a second line of a kind in one server: the included defaults have none."""
    made = files(tmp_path, DEBIAN_12)
    assert "client_header_timeout 5s;" in made["http/b.example.conf"]
    assert "client_header_timeout" not in made["defaults.conf"]
