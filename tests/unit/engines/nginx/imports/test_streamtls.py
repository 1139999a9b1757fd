"""TLS that ends at servers of `stream` ends at TCP listeners, with the same certificate."""

import pytest
from nginx_trees import tree_of

from headgate.engines.nginx.imports import proof
from headgate.engines.nginx.imports.bundle import from_files, to_files
from headgate.engines.nginx.imports.imported import Imported
from headgate.engines.nginx.imports.objects import Table, to_toml
from headgate.engines.nginx.imports.recognise import import_tree
from headgate.engines.nginx.imports.rerender import rerender
from headgate.nginxtext.dump import DumpedFiles
from headgate.nginxtext.includes import load

OWN = "ssl_certificate a.pem; ssl_certificate_key /k/a.key;"
PASSED = "proxy_pass 10.0.0.1:1;"
SHOP = (
    "server { listen 443 ssl; server_name shop.example; ssl_certificate %s.pem;"
    " ssl_certificate_key /k/%s.key; location / { proxy_pass http://10.0.0.9; } }"
)


def imported(inside: str, http: str = "") -> Imported:
    """The import of this inside `stream`, proved."""
    tree = tree_of(f"events {{ }} stream {{ {inside} }} http {{ {http} }}\n")
    one = import_tree(tree)
    again = from_files(to_files(one))
    assert proof.lost(tree, again) == ()
    assert proof.same_model(one, import_tree(load(tree.entry, DumpedFiles(rerender(again)))))
    return one


def tables(one: Imported, section: str) -> dict[str, Table]:
    """The objects of a section by their names."""
    return {item.name: item.table for item in one.objects if item.section == section}


def test_a_listener_has_the_certificate_of_its_server() -> None:
    one = imported(
        f"{OWN} ssl_protocols TLSv1.2; server {{ listen 1 ssl; listen 2; {PASSED} }}"
        f" server {{ listen 3 ssl; ssl_certificate b.pem; ssl_certificate_key b.key;"
        f" ssl_handshake_timeout 5s; proxy_timeout 1h; {PASSED} }}"
    )
    assert [fate.why for fate in one.fates if fate.why] == []
    listeners = {item["address"]: item for item in tables(one, "listeners").values()}
    assert listeners["0.0.0.0:1"]["tls"] == {
        "default_certificate": "stream-1",
        "unknown_sni": "default",
    }
    assert listeners["0.0.0.0:1"]["timeouts"] == {"handshake": "1m"}
    assert "tls" not in listeners["0.0.0.0:2"] and "timeouts" not in listeners["0.0.0.0:2"]
    assert listeners["0.0.0.0:3"]["timeouts"] == {"handshake": "5s"}
    assert tables(one, "certificates") == {
        "stream-1": {"cert_file": "/etc/nginx/a.pem", "key_file": "/k/a.key"},
        "stream-2": {"cert_file": "/etc/nginx/b.pem", "key_file": "/etc/nginx/b.key"},
    }
    (kept,) = one.verbatim.values()
    assert b"ssl_certificate_key /k/a.key;" in kept
    assert any(note.message.startswith("ssl_protocols: kept") for note in one.notes)


def test_the_certificate_of_a_host_keeps_its_name() -> None:
    one = imported(f"server {{ listen 1 ssl; {OWN} {PASSED} }}", SHOP % ("a", "a"))
    listener = next(item for item in tables(one, "listeners").values() if "protocol" in item)
    assert listener["tls"] == {"default_certificate": "shop.example", "unknown_sni": "default"}
    assert list(tables(one, "certificates")) == ["shop.example"]


def test_names_are_not_read_ahead_where_tls_ends() -> None:
    chosen = "map $ssl_preread_server_name $to { a.example 10.0.0.1:1; default 10.0.0.2:1; }"
    server = f"server {{ listen 1 %s; {OWN} ssl_preread on; proxy_pass $to; }}"
    assert len(tables(imported(f"{chosen} {server % ''}"), "tcp_routes")) == 2
    one = imported(f"{chosen} {server % 'ssl'}")
    assert tables(one, "tcp_routes") == {}
    assert any("`ssl_preread` of TLS that ends" in fate.why for fate in one.fates)


@pytest.mark.parametrize(
    ("server", "http", "why"),
    [
        (f"listen 1 ssl; {OWN} {PASSED}", SHOP % ("b", "b"), "a host with a certificate of its"),
        (f"listen 1 ssl; {OWN} {OWN} {PASSED}", "", "a TCP listener has one certificate"),
        ("listen 1 ssl; ssl_certificate a; proxy_pass a:1;", "", "certificates and keys do not"),
        (
            "listen 1 ssl; ssl_certificate data:$a; ssl_certificate_key data:$a; proxy_pass a:1;",
            "",
            "a certificate or key is not a file",
        ),
    ],
)
def test_what_means_something_else_stays(server: str, http: str, why: str) -> None:
    one = imported(f"server {{ {server} }}", http)
    assert tables(one, "tcp_routes") == {}
    assert [name for name in tables(one, "certificates") if name.startswith("stream")] == []
    assert any(why in fate.why for fate in one.fates), [fate.why for fate in one.fates]
    assert to_toml(one.objects).count('protocol = "tcp"') == 0
