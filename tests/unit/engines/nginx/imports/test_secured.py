"""TLS to endpoints (`proxy_pass https://`) of an imported nginx becomes `tls` of an upstream."""

import pytest
from nginx_trees import imported

from headgate.engines.nginx.imports.imported import Imported
from headgate.engines.nginx.imports.objects import Table


def upstreams(one: Imported) -> dict[str, Table]:
    return {item.name: item.table for item in one.objects if item.section == "upstreams"}


def whys(one: Imported) -> list[str]:
    return [fate.why for fate in one.fates if fate.why]


@pytest.mark.parametrize(
    ("lines", "tls"),
    [
        ("", {"verify": False, "sni": False}),
        ("proxy_ssl_verify off;", {"verify": False, "sni": False}),
        ("proxy_ssl_server_name on;", {"verify": False, "verify_name": "a"}),
        ("proxy_ssl_server_name on; proxy_ssl_name B.c;", {"verify": False, "verify_name": "b.c"}),
        ("proxy_ssl_name b.c;", {"verify": False, "sni": False}),
        ("proxy_ssl_server_name on; proxy_ssl_name 10.0.0.1;", {"verify": False, "sni": False}),
        (
            "proxy_ssl_protocols TLSv1.3;",
            {"verify": False, "min_version": "1.3", "sni": False},
        ),
        ("proxy_ssl_session_reuse off; proxy_ssl_ciphers HIGH;", {"verify": False, "sni": False}),
    ],
)
def test_what_nginx_says_of_tls_is_what_the_upstream_has(lines: str, tls: Table) -> None:
    one = imported(f"server {{ location / {{ proxy_pass https://a; {lines} }} }}")
    assert whys(one) == []
    (name, table), *_ = upstreams(one).items()
    assert (name, table["endpoints"], table["tls"]) == ("a:443", ["a:443"], tls)
    (route,) = [item.table for item in one.objects if item.section == "routes"]
    assert route["upstream"] == "a:443"
    assert "{'rewrite': {'host': 'a'}}" in str(route["middlewares"])
    assert any("its own ciphers" in note.message for note in one.notes)


def test_a_block_has_its_ports_itself() -> None:
    one = imported(
        "upstream g { server 10.0.0.1:8443; } server { location / { proxy_pass https://g/; } }"
    )
    assert upstreams(one)["g"]["tls"] == {"verify": False, "sni": False}
    assert upstreams(one)["g"]["endpoints"] == ["10.0.0.1:8443"]


def test_settings_of_the_server_count_for_its_locations() -> None:
    one = imported(
        "server { proxy_ssl_server_name on; location /a { proxy_pass https://a:8443; }"
        " location /b { proxy_pass http://b; } }"
    )
    assert upstreams(one)["a:8443"]["tls"] == {"verify": False, "verify_name": "a"}
    assert "tls" not in upstreams(one)["b"]


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ("proxy_pass https://a; proxy_ssl_verify on;", "`proxy_ssl_verify on` has no counterpart"),
        ("proxy_pass https://a; proxy_ssl_certificate c;", "`proxy_ssl_certificate` has no"),
        ("proxy_pass https://a; proxy_ssl_protocols TLSv1;", "neither TLSv1.2 nor TLSv1.3"),
        (
            "proxy_pass https://a; proxy_ssl_server_name on; proxy_ssl_name $host;",
            "`proxy_ssl_name $host` has no counterpart",
        ),
        ("proxy_pass https://unix:/run/a;", "anything but HTTP at a host"),
        ("proxy_pass ftp://a;", "anything but HTTP at a host"),
    ],
)
def test_what_has_no_counterpart_stays_closed(lines: str, why: str) -> None:
    one = imported(f"server {{ location / {{ {lines} }} }}")
    assert any(why in told for told in whys(one))
    (route,) = [item.table for item in one.objects if item.section == "routes"]
    assert "not_imported" in route


def test_one_upstream_is_not_asked_with_and_without_tls() -> None:
    one = imported(
        "upstream g { server 10.0.0.1; } server { location /a { proxy_pass http://g; }"
        " location /b { proxy_pass https://g; } }"
    )
    assert whys(one) == ["another route connects to g with other TLS"]
