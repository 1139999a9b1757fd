"""Where an imported listener offers HTTP/2."""

import pytest
from nginx_trees import imported

from headgate.engines.nginx.imports.objects import table_in

LISTENS = "ssl_certificate a; ssl_certificate_key b; location / { return 204; }"


@pytest.mark.parametrize(
    ("servers", "policies"),
    [
        ("server { listen 443 ssl; %s }", {"443": "http1"}),
        ("server { listen 443 ssl http2; %s }", {"443": ""}),
        ("server { listen 443 ssl; http2 on; %s }", {"443": ""}),
        ("http2 on; server { listen 443 ssl; http2 off; %s }", {"443": "http1"}),
        ("http2 on; server { listen 443 ssl; %s }", {"443": ""}),
        (
            "server { listen 443 ssl http2; %s } server { listen 8443 ssl; %s }",
            {"443": "", "8443": "http1"},
        ),
        (
            "server { listen 443 ssl http2; %s } server { listen 443 ssl; server_name b; %s }",
            {"443": ""},
        ),
    ],
)
def test_a_listener_offers_http2_where_nginx_did(servers: str, policies: dict[str, str]) -> None:
    one = imported(servers.replace("%s", LISTENS))
    tables = {item.name: item.table for item in one.objects if item.section == "listeners"}
    assert {
        name.removeprefix("https-"): table_in(table, "tls").get("policy", "")
        for name, table in tables.items()
    } == policies
    made = [item.table for item in one.objects if item.section == "tls_policies"]
    assert made == ([{"alpn": ["http/1.1"]}] if "http1" in policies.values() else [])
    assert not [note for note in one.notes if "HTTP/2" in note.message]


def test_http2_of_one_server_alone_is_noted_at_the_others() -> None:
    one = imported(
        f"server {{ listen 443 ssl; server_name a; http2 on; {LISTENS} }}\n"
        f"server {{ listen 443 ssl; server_name b; {LISTENS} }}"
    )
    said = [(note.line, note.message) for note in one.notes if "HTTP/2" in note.message]
    assert said == [(3, "HTTP/2 is offered to its clients on 0.0.0.0:443 here")]


@pytest.mark.parametrize(
    ("server", "h2c"),
    [
        ("server { listen 80 http2; location / { return 204; } }", True),
        ("server { listen 80; http2 on; location / { return 204; } }", True),
        ("server { listen 80; location / { return 204; } }", None),
    ],
)
def test_http2_without_tls_is_h2c(server: str, h2c: bool | None) -> None:
    one = imported(server)
    (listener,) = (item for item in one.objects if item.section == "listeners")
    assert listener.table.get("h2c") == h2c
    said = [note.message for note in one.notes if "HTTP/2" in note.message]
    assert said == (
        ["HTTP/2 without TLS: HTTP/1.1 is served beside it here"] if "80 http2" in server else []
    )
