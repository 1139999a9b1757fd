"""TLS that ends at an imported `stream` ends as at the nginx that it was written for."""

import contextlib
import socket
import ssl
from pathlib import Path

import pytest
from imported_beside import imported, running, served, without_kept_text
from nginx_engine import stream_capabilities
from ports import free_ports
from tcp_echo import Echo
from tls_authority import Authority
from waiting import DEADLINE_S, until

CONFIG = """\
{load}
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ }}
stream {{
    proxy_half_close on;
    ssl_certificate {certs}/shop.pem;
    ssl_certificate_key {certs}/shop.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    server {{ listen 127.0.0.1:{first} ssl; listen 127.0.0.1:{plain}; proxy_pass 127.0.0.1:{a}; }}
    server {{
        listen 127.0.0.1:{second} ssl;
        ssl_certificate {certs}/other.pem;
        ssl_certificate_key {certs}/other.key;
        allow 127.0.0.2;
        deny all;
        proxy_pass 127.0.0.1:{b};
    }}
    server {{
        listen 127.0.0.1:{kept} ssl;
        ssl_verify_client on;
        ssl_client_certificate {ca};
        proxy_pass 127.0.0.1:{b};
    }}
}}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{ listen 127.0.0.1:{web}; location / {{ return 204; }} }}
}}
"""
NAMES = ["shop.example", "nobody.example", None]


def talked(port: int, name: str | None, source: str = "127.0.0.1") -> str:
    """Which endpoint answers inside TLS, and the digits of the certificate; else nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with contextlib.suppress(OSError):
        raw = socket.create_connection(("127.0.0.1", port), DEADLINE_S, (source, 0))
        with context.wrap_socket(raw, server_hostname=name) as one:
            said = one.recv(1)
            one.sendall(b"hello")
            echoed = one.recv(5)
            if said and echoed == b"hello":
                return f"{said.decode()} {hash(one.getpeercert(binary_form=True))}"
    return ""


def plain(port: int) -> str:
    """Which endpoint answers without TLS."""
    with (
        contextlib.suppress(OSError),
        socket.create_connection(("127.0.0.1", port), DEADLINE_S) as one,
    ):
        return one.recv(1).decode()
    return ""


@pytest.mark.usefixtures("probed")
def test_clients_meet_the_same_certificates_and_endpoints(folder: Path) -> None:
    able = stream_capabilities()
    load = f"load_module {able.modules['stream']};" if "stream" in able.modules else ""
    authority = Authority(folder)
    authority.issue("shop", "shop.example")
    authority.issue("other", "other.example")
    for path in folder.glob("*.key"):
        path.chmod(0o644)
    first, second, kept, web, open_port = free_ports(5)
    a, b = Echo(b"a"), Echo(b"b")
    text = CONFIG.format(
        load=load,
        folder=folder,
        certs=folder,
        ca=authority.ca_file,
        a=a.port,
        b=b.port,
        first=first,
        second=second,
        kept=kept,
        web=web,
        plain=open_port,
    )

    def answers() -> list[str]:
        found = [talked(first, name) for name in NAMES]
        found += [talked(second, name, "127.0.0.2") for name in NAMES]
        return [*found, talked(second, NAMES[0]), talked(kept, NAMES[0]), plain(open_port)]

    try:
        with served(folder, text):
            until(lambda: plain(open_port) == "a", "the original")
            wanted = answers()
        assert [one[:1] for one in wanted] == [*"aaabbb", "", "", "a"]
        assert len(set(wanted)) == 4
        bundle = imported(folder, text)
        assert "`ssl_verify_client` has no counterpart" in (bundle / "import.json").read_text()
        for engine, config in [
            ("native", without_kept_text(bundle)),
            ("nginx", without_kept_text(bundle)),
            ("nginx", (bundle / "headgate.toml").read_text()),
        ]:
            with running(folder, config, engine):
                assert answers() == wanted, engine
    finally:
        a.close()
        b.close()
