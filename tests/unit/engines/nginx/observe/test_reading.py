"""What a config says of how its nginx can be watched."""

import pytest

from headgate.engines.nginx.observe.facts import BuiltIn, Facts, KeyPair, Listen, StatusPage
from headgate.engines.nginx.observe.listens import listen_of
from headgate.engines.nginx.observe.log_format import COMBINED
from headgate.engines.nginx.observe.masters import built_in_of
from headgate.engines.nginx.observe.reading import facts_of
from headgate.nginxtext.dump import DumpedFiles
from headgate.nginxtext.includes import load

_BUILT_IN = BuiltIn(prefix="/usr/share/nginx", error_log="/e.log", http_log="/a.log")


def _facts(text: str, **more: str) -> Facts:
    files = {"/etc/nginx/nginx.conf": text.encode()}
    files |= {f"/etc/nginx/{name}": body.encode() for name, body in more.items()}
    return facts_of(load("/etc/nginx/nginx.conf", DumpedFiles(files)), _BUILT_IN)


@pytest.mark.parametrize(
    ("words", "addresses"),
    [
        ("80", ["0.0.0.0:80"]),
        ("*:8080 default_server", ["0.0.0.0:8080"]),
        ("127.0.0.1", ["127.0.0.1:80"]),
        ("[::]:443 ssl", ["[::]:443"]),
        ("[::1]", ["[::1]:80"]),
        ("a.example:81", ["a.example:81"]),
        ("unix:/run/x.sock", ["unix:/run/x.sock"]),
        ("9000-9002", ["0.0.0.0:9000", "0.0.0.0:9001", "0.0.0.0:9002"]),
        ("a:b", []),
        ("", []),
    ],
)
def test_a_listen_is_an_address(words: str, addresses: list[str]) -> None:
    assert [one.address for one in listen_of(words.split())] == addresses


def test_the_words_after_an_address_are_flags() -> None:
    (one,) = listen_of(["443", "ssl", "http2", "proxy_protocol", "default_server"])
    assert one == Listen("0.0.0.0:443", tls=True, proxy_protocol=True, default=True)


def test_without_a_word_of_logs_the_binary_s_own_paths_hold() -> None:
    facts = _facts("events {} http { server { server_name a; } }")
    assert [(one.path, one.format, one.sites) for one in facts.access_logs] == [
        ("/a.log", COMBINED, ("a",))
    ]
    assert facts.error_logs == ("/e.log",)


def test_a_log_of_a_server_replaces_what_it_would_inherit() -> None:
    facts = _facts(
        """
        error_log logs/e.log warn;
        http {
            log_format short escape=json '$status ' "$request_time";
            access_log /all.log;
            include sites/*;
        }
        """,
        **{
            "sites/a": "server { server_name a; }",
            "sites/b": "server { server_name b; access_log /b.log short buffer=64k;"
            " error_log /b.err; location /quiet { access_log off; } }",
            "sites/c": "server { server_name c; access_log /all.log; access_log /c.log none;"
            " location / { location /x { access_log syslog:server=unix:/s; } } }",
            "sites/d": "server { server_name d; access_log /$host.log; error_log stderr; }",
            "sites/e": "server { listen 81; access_log /e.gz combined gzip=9; }",
        },
    )
    assert {one.path: (one.sites, one.problem) for one in facts.access_logs} == {
        "/all.log": (("a", "c"), ""),
        "/b.log": (("b",), ""),
        "/c.log": (("c",), "there is no log_format none"),
        "syslog:server=unix:/s": (("c",), "it goes to syslog"),
        "/$host.log": (("d",), "its path holds variables"),
        "/e.gz": (("0.0.0.0:81",), "it is compressed"),
    }
    short = next(one for one in facts.access_logs if one.path == "/b.log")
    assert (short.format, short.escape) == ("$status $request_time", "json")
    assert facts.error_logs == ("/usr/share/nginx/logs/e.log", "/b.err")
    assert len(facts.files) == 6


def test_certificates_belong_to_servers_that_listen_with_tls() -> None:
    facts = _facts(
        """
        http {
            ssl_certificate all.pem; ssl_certificate_key all.key;
            server { listen 443 ssl; server_name a; }
            server { listen 443 ssl; server_name b; ssl_certificate b.rsa; ssl_certificate b.ec;
                     ssl_certificate_key b.rsa.key; ssl_certificate_key b.ec.key; }
            server { listen 80; server_name c; }
            server { listen 444; ssl on; server_name d; }
        }
        stream { server { listen 993 ssl; ssl_certificate s.pem; ssl_certificate_key s.key; } }
        """
    )
    assert [server.certificates for server in facts.servers] == [
        (KeyPair("all.pem", "all.key"),),
        (KeyPair("b.rsa", "b.rsa.key"), KeyPair("b.ec", "b.ec.key")),
        (),
        (KeyPair("all.pem", "all.key"),),
        (KeyPair("s.pem", "s.key"),),
    ]


def test_a_status_page_is_found_with_how_to_ask_for_it() -> None:
    facts = _facts(
        """
        http {
            server { listen 443 ssl; listen 8080; server_name *.x status.example;
                     location = /stub { stub_status; } }
            server { listen unix:/s.sock; access_log off; location /s { stub_status on; } }
            server { listen 443 ssl; location /tls { stub_status; } }
            server { location ~ ^/re { stub_status; } }
        }
        """
    )
    assert facts.status_pages == (
        StatusPage("http://127.0.0.1:8080/stub", "status.example", is_logged=True),
        StatusPage("unix:/s.sock:/s", "", is_logged=False),
    )


def test_a_broken_file_is_a_problem_and_the_rest_is_shown() -> None:
    facts = _facts(
        "http { include a; include gone; server { server_name b; } }",
        a="server { server_name a",
    )
    assert [server.names for server in facts.servers] == [("b",)]
    assert len(facts.problems) == 2
    assert facts.problems[0].startswith("/etc/nginx/a:1:")


def test_a_binary_tells_its_paths_without_being_run() -> None:
    text = b"--prefix=/p --conf-path=/etc/n/n.conf --error-log-path=stderr --with-threads"
    found = built_in_of(b"\x7fELF\0nginx/1.22.1\0\0configure arguments: " + text + b"\n\0")
    assert found == BuiltIn(
        version="nginx/1.22.1",
        prefix="/p",
        conf_path="/etc/n/n.conf",
        error_log="stderr",
        http_log="/p/logs/access.log",
        arguments=text.decode(),
    )
    assert built_in_of(b"").conf_path == "/usr/local/nginx/conf/nginx.conf"
