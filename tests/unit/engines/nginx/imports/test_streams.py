"""What of `stream` becomes TCP listeners and routes, and why the rest is kept."""

from pathlib import PurePath

import pytest
from memory_files import MemoryFiles
from nginx_trees import tree_of

from headgate.compile.load import load as compiled
from headgate.engines.nginx.imports import proof
from headgate.engines.nginx.imports.bundle import from_files, to_files
from headgate.engines.nginx.imports.imported import Imported
from headgate.engines.nginx.imports.objects import Table, to_toml
from headgate.engines.nginx.imports.recognise import import_tree
from headgate.engines.nginx.imports.released import addresses
from headgate.engines.nginx.imports.rerender import rerender
from headgate.nginxtext.dump import DumpedFiles
from headgate.nginxtext.includes import load

SERVED = """
    log_format plain '$remote_addr';
    proxy_timeout 1h;
    upstream db {
        zone db 64k;
        least_conn;
        server 10.0.0.1:5432 weight=2 max_fails=3;
        server 10.0.0.2:5432 backup;
    }
    server {
        listen 5432 so_keepalive=on;
        listen [::1]:5432;
        allow 10.0.0.0/8;
        allow 192.0.2.7;
        deny all;
        proxy_connect_timeout 2s;
        proxy_half_close on;
        proxy_pass db;
    }
    server {
        listen 127.0.0.1:6379;
        proxy_timeout 30s;
        proxy_download_rate 100k;
        proxy_upload_rate 0;
        proxy_pass unix:/run/redis.sock;
        access_log /var/log/redis.log plain;
    }
"""
AS_TOML = """\
[listeners.tcp-5432]
address = "0.0.0.0:5432"
protocol = "tcp"

[listeners.tcp--1-5432]
address = "[::1]:5432"
protocol = "tcp"

[listeners."tcp-127.0.0.1-6379"]
address = "127.0.0.1:6379"
protocol = "tcp"

[tcp_routes.tcp-5432]
listeners = ["tcp-5432", "tcp--1-5432"]
client = ["10.0.0.0/8", "192.0.2.7"]
upstream = "db"
timeouts = { idle = "1h", half_open = "1h" }

[tcp_routes."tcp-127.0.0.1-6379"]
listeners = ["tcp-127.0.0.1-6379"]
upstream = "unix:/run/redis.sock"
timeouts = { idle = "30s", half_open = "30s" }
bandwidth = { download = "100KiB/s" }

[upstreams.db]
"""


def imported(inside: str, http: str = "") -> Imported:
    """The import of this inside `stream`, proved."""
    tree = tree_of(f"events {{ }} stream {{\n{inside}\n}}\nhttp {{ {http} }}\n")
    one = import_tree(tree)
    again = from_files(to_files(one))
    assert again == one
    assert proof.lost(tree, again) == ()
    second = import_tree(load(tree.entry, DumpedFiles(rerender(again))))
    assert proof.same_model(one, second)
    return one


def whys(one: Imported) -> list[str]:
    """Why blocks were kept."""
    return [fate.why for fate in one.fates if fate.why]


def test_a_server_becomes_listeners_a_route_and_an_upstream() -> None:
    one = imported(SERVED)
    text = to_toml(one.objects)
    assert text.startswith(AS_TOML)
    found = compiled([PurePath("x.toml")], MemoryFiles({"x.toml": text.encode()}), {})
    assert found.plan is not None, found.diagnostics
    (why,) = whys(one)
    assert why.startswith("lines of TCP connections")
    (kept,) = one.verbatim.values()
    assert b"headgate_listen" in kept and b"headgate_tcp_route" in kept
    assert [note.message.partition(":")[0] for note in one.notes] == [
        "proxy_half_close",
        "max_fails, fail_timeout",
    ]


@pytest.mark.parametrize(
    ("server", "why"),
    [
        ("listen 1 udp; proxy_pass a:1; proxy_responses 0;", "`proxy_responses 0` has no"),
        ("listen 1 udp; proxy_pass a:1; proxy_requests 2;", "`proxy_requests` other than 1"),
        ("listen 1 udp; proxy_pass a:1; proxy_protocol on;", "`ssl_preread`, `proxy_protocol`"),
        ("listen 1 udp; proxy_pass a:1; proxy_upload_rate 1k;", "`ssl_preread`, `proxy_protocol`"),
        ("listen 1 udp; proxy_pass unix:/a;", "an endpoint of UDP at a Unix socket has no"),
        ("listen 1 udp; proxy_pass $name;", "`proxy_pass` of a variable has no counterpart"),
        ("listen 1 udp; listen 1 udp; proxy_pass a:1;", "another server listens on 0.0.0.0:1"),
        ("listen 1 ssl udp; proxy_pass a:1;", "`listen … ssl` of UDP has no counterpart"),
        ("listen 1 ssl; proxy_pass a:1;", "a TCP listener has one certificate"),
        ("listen 1 ssl; ssl_verify_client on; proxy_pass a:1;", "`ssl_verify_client` has no"),
        ("listen 1 ssl; ssl_reject_handshake on; proxy_pass a:1;", "`ssl_reject_handshake` has"),
        ("listen 1 ssl; ssl_alpn a; proxy_pass a:1;", "`ssl_alpn` has no counterpart"),
        ("listen 1; proxy_ssl on; proxy_pass a:1;", "`proxy_ssl` has no counterpart"),
        ("listen 1 proxy_protocol; proxy_pass a:1;", "`listen … proxy_protocol` without"),
        ("listen unix:/x; proxy_pass a:1;", "`listen unix:/x` has no counterpart"),
        ("listen 1; proxy_pass $name;", "`proxy_pass` of a variable has no counterpart"),
        ("listen 1; proxy_pass a:1; ssl_preread on;", "`ssl_preread` without a choice"),
        ("listen 1; proxy_pass a:1; limit_conn z 1;", "`limit_conn` has no counterpart"),
        ("listen 1; proxy_pass a:1; proxy_next_upstream off;", "`proxy_next_upstream off` has"),
        ("listen 1; proxy_pass a:1; deny 10.0.0.1;", "`deny` of some networks has no counterpart"),
        ("listen 1; proxy_pass a:1; deny all;", "`deny` of some networks has no counterpart"),
        ("listen 1; return hello;", "`return` has no counterpart"),
    ],
)
def test_a_server_that_is_not_understood_is_kept_as_a_whole(server: str, why: str) -> None:
    one = imported(f"server {{ {server} }}")
    assert one.objects == ()
    (told,) = whys(one)
    assert told.startswith(why)


def tables(one: Imported, section: str) -> dict[str, Table]:
    """The objects of a section by their names."""
    return {item.name: item.table for item in one.objects if item.section == section}


def test_headers_of_the_proxy_protocol_come_in_and_go_out() -> None:
    one = imported(
        "set_real_ip_from 10.0.0.0/8; set_real_ip_from fd00::1; proxy_protocol_timeout 5s;"
        "server { listen 1 proxy_protocol; listen 2; proxy_pass 10.0.0.1:1; proxy_protocol on; }"
        "server { listen 3; proxy_pass 10.0.0.1:2; }"
    )
    assert whys(one) == []
    assert tables(one, "listeners") == {
        "tcp-1": {
            "address": "0.0.0.0:1",
            "protocol": "tcp",
            "proxy_protocol": {"trusted": ["10.0.0.0/8", "fd00::1"], "timeout": "5s"},
        },
        "tcp-2": {"address": "0.0.0.0:2", "protocol": "tcp"},
        "tcp-3": {"address": "0.0.0.0:3", "protocol": "tcp"},
    }
    told = {name: one.get("proxy_protocol") for name, one in tables(one, "upstreams").items()}
    assert told == {"10.0.0.1:1": "v1", "10.0.0.1:2": None}
    assert any("not trusted" in note.message for note in one.notes)


def test_one_way_to_tell_an_upstream() -> None:
    one = imported(
        "upstream db { server b:1; } server { listen 1; proxy_pass db; proxy_protocol on; }"
        "server { listen 2; proxy_pass db; }"
    )
    assert whys(one) == ["another server connects to db with another timeout or PROXY header"]


POOLS = "upstream a { server 10.0.0.1:443; } upstream b { server 10.0.0.2:443; }"
CHOSEN = "server { listen 443; ssl_preread on; proxy_pass $to; }"


def test_server_names_lead_to_upstreams() -> None:
    names = "hostnames; A.example a; .b.example b; *.c.example a; default 10.0.0.3:443;"
    one = imported(
        f"{POOLS} map $ssl_preread_server_name $to {{ {names} }}"
        " server { listen 443; allow 10.0.0.0/8; deny all; ssl_preread on; proxy_pass $to; }"
    )
    assert whys(one) == []
    rest = {
        "listeners": ["tcp-443"],
        "client": ["10.0.0.0/8"],
        "timeouts": {"idle": "10m", "half_open": "10m"},
    }
    assert tables(one, "tcp_routes") == {
        "tcp-443": {**rest, "sni": ["a.example", "*.c.example"], "upstream": "a"},
        "tcp-443-2": {**rest, "sni": ["b.example", "*.b.example"], "upstream": "b"},
        "tcp-443-3": {**rest, "upstream": "10.0.0.3:443"},
    }
    (listener,) = tables(one, "listeners").values()
    assert listener["timeouts"] == {"handshake": "30s"}
    text = to_toml(one.objects)
    found = compiled([PurePath("x.toml")], MemoryFiles({"x.toml": text.encode()}), {})
    assert found.plan is not None, found.diagnostics
    assert any(note.message.startswith("ssl_preread: ") for note in one.notes)


def test_names_without_a_default_and_a_port_beside_the_variable() -> None:
    one = imported(
        "map ${ssl_preread_server_name} $to { a.example 10.0.0.1; b.example 10.0.0.2; }"
        " ssl_preread on; preread_timeout 5s; server { listen 443; proxy_pass $to:8443; }"
    )
    routes = tables(one, "tcp_routes").values()
    assert [(one["sni"], one["upstream"]) for one in routes] == [
        (["a.example"], "10.0.0.1:8443"),
        (["b.example"], "10.0.0.2:8443"),
    ]
    (listener,) = tables(one, "listeners").values()
    assert listener["timeouts"] == {"handshake": "5s"}


NAMED = "map $ssl_preread_server_name $to"


@pytest.mark.parametrize(
    ("inside", "why"),
    [
        (f"{NAMED} {{ a.example a; }} {CHOSEN.replace('on', 'off')}", "of a variable has no"),
        (f"{CHOSEN}", "of a variable has no"),
        (f"{CHOSEN.replace('$to', '$ssl_preread_server_name:443')}", "of a variable has no"),
        (f"map $remote_addr $to {{ 10.0.0.1 a; }} {CHOSEN}", "of a variable has no"),
        (f"map x$ssl_preread_server_name $to {{ xa a; }} {CHOSEN}", "of a variable has no"),
        (f"map $ssl_preread_protocol $to {{ '' a; }} {CHOSEN}", "of a variable has no"),
        (f"{NAMED} {{ a.example a; }} geo $to {{ default b; }} {CHOSEN}", "of a variable has no"),
        (f"{NAMED} {{ a.example a; default c; }} {CHOSEN}", 'leads to "c"'),
        (f"{NAMED} {{ a.example a.example:443; }} {CHOSEN}", 'leads to "a.example:443"'),
        (f"{NAMED} {{ a.example $remote_addr; }} {CHOSEN}", "is not understood"),
        (f"{NAMED} {{ volatile; a.example a; }} {CHOSEN}", "is not understood"),
        (f"{NAMED} {{ '' a; a.example b; }} {CHOSEN}", "no name of ours"),
        (f"{NAMED} {{ ~^a a; }} {CHOSEN}", "no name of ours"),
        (f"{NAMED} {{ *.a.example a; }} {CHOSEN}", "no name of ours"),
        (f"{NAMED} {{ hostnames; a.* a; }} {CHOSEN}", "no name of ours"),
        (f"{NAMED} {{ hostnames; .a.example a; a.example b; }} {CHOSEN}", "one twice"),
        (f"{NAMED} {{ default a; }} {CHOSEN}", "has none"),
    ],
)
def test_a_choice_that_is_not_understood_is_kept(inside: str, why: str) -> None:
    one = imported(f"{POOLS} {inside}")
    assert tables(one, "tcp_routes") == {}
    assert any(why in told for told in whys(one)), whys(one)


def test_names_in_another_file_are_kept() -> None:
    inside = f"{POOLS} {NAMED} {{ include a; a.example a; }} {CHOSEN}"
    one = import_tree(tree_of(f"stream {{ {inside} }}", a="b.example b;"))
    assert "the map of server names is not understood" in whys(one)


def test_an_unknown_line_around_keeps_every_server() -> None:
    one = imported("js_preread x; server { listen 1; proxy_pass a:1; }")
    assert (one.objects, whys(one)) == ((), ["`js_preread` around it has no counterpart"])


def test_servers_of_one_address_are_kept() -> None:
    one = imported("server { listen 1; proxy_pass a:1; } server { listen 1; proxy_pass b:1; }")
    assert one.objects == ()


def test_a_port_of_udp_is_none_of_tcp() -> None:
    servers = "server { listen 53; proxy_pass a:53; } server { listen 53 udp; proxy_pass a:53; }"
    one = imported(servers)
    assert list(tables(one, "tcp_routes")) == ["tcp-53"]
    assert list(tables(one, "udp_routes")) == ["udp-53"]
    assert whys(one) == []


def test_an_upstream_whose_name_http_has_is_kept_with_its_server() -> None:
    http = "upstream db { server a:1; } server { listen 80; location / { proxy_pass http://db; } }"
    one = imported("upstream db { server b:1; } server { listen 1; proxy_pass db; }", http)
    assert "tcp_routes" not in {item.section for item in one.objects}
    assert whys(one) == ["the name is taken", "an upstream of `http` is called db, too"]


def test_one_time_to_connect_for_an_upstream() -> None:
    one = imported(
        "upstream db { server b:1; } server { listen 1; proxy_pass db; }"
        "server { listen 2; proxy_pass db; proxy_connect_timeout 1s; }"
    )
    assert whys(one) == ["another server connects to db with another timeout or PROXY header"]


def test_a_release_of_the_import_listens_for_tcp_but_not_for_udp() -> None:
    tree = tree_of(f"stream {{ {SERVED} server {{ listen 53 udp; proxy_pass a:53; }} }}")
    assert addresses(tree) == ("0.0.0.0:5432", "127.0.0.1:6379", "[::1]:5432")


UDP = """
    upstream resolvers { hash $remote_addr consistent; server 10.0.0.1:53; server 10.0.0.2:53; }
    server {
        listen 53 udp reuseport;
        listen 53;
        proxy_responses 1;
        proxy_timeout 20s;
        allow 10.0.0.0/8;
        deny all;
        proxy_half_close on;
        proxy_pass resolvers;
    }
    server { listen [::1]:514 udp; proxy_requests 1; proxy_pass 10.0.0.3:514; }
"""


def test_servers_of_udp_become_routes_also_beside_tcp() -> None:
    one = imported(UDP, "server { listen 80; return 204; }")
    assert whys(one) == []
    client: Table = {"client": ["10.0.0.0/8"]}
    assert tables(one, "udp_routes") == {
        "udp-53": {
            "listeners": ["udp-53"],
            **client,
            "upstream": "resolvers",
            "timeouts": {"idle": "20s"},
            "answers": 1,
        },
        "udp--1-514": {
            "listeners": ["udp--1-514"],
            "upstream": "10.0.0.3:514",
            "timeouts": {"idle": "10m"},
            "balance_by": "datagram",
        },
    }
    (of_tcp,) = tables(one, "tcp_routes").values()
    assert of_tcp["listeners"] == ["tcp-53"]
    text = to_toml(one.objects)
    found = compiled([PurePath("x.toml")], MemoryFiles({"x.toml": text.encode()}), {})
    assert found.plan is not None, found.diagnostics
    assert sum("listen … udp" in note.message for note in one.notes) == 2
