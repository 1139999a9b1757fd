"""The PROXY protocol of TCP routes with real peers on both sides: HAProxy and nginx."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from access_log import AccessLog
from ports import free_port
from proxied import get_from, haproxy, nginx, refused
from running_node import RunningNode
from stream_end import Secured
from tcp_echo import Echo, talk
from tls_authority import Authority
from tls_client import trusting
from waiting import DEADLINE_S, until

CLIENT = "127.0.0.77"
# The time is long, so that nothing is late on a busy machine.
TRUSTED = 'proxy_protocol = { trusted = ["127.0.0.1/32"], timeout = "60s" }'
V1 = b"PROXY TCP4 192.0.2.7 198.51.100.2 56324 443\r\n"


def config(port: int, endpoint: str, *, listener: str = "", upstream: str = "") -> str:
    """A config with one TCP route, whose access log is `access.log`."""
    return f"""
[node]
admin = "off"
drain = {{ delay = "50ms", idle_grace = "100ms", deadline = "60s" }}
access_log = {{ format = "json", sink = {{ path = "access.log" }} }}
[listeners.raw]
address = "127.0.0.1:{port}"
protocol = "tcp"
{listener}
[tcp_routes.raw]
listeners = "raw"
upstream = "raw"
[upstreams.raw]
endpoints = ["{endpoint}"]
{upstream}
"""


@contextmanager
def running(folder: Path, text: str) -> Iterator[RunningNode]:
    """A node that is ready, with its access log in the folder."""
    text = text.replace("access.log", str(folder / "access.log"))
    with RunningNode(folder, text).until_ready() as node:
        yield node


def logged(folder: Path, reason: str, client: str = CLIENT) -> dict[str, object]:
    """The line of the access log of a client's first connection that ended for a reason."""
    return AccessLog(folder / "access.log").line(client_ip=client, reason=reason)


@pytest.fixture
def echo() -> Iterator[Echo]:
    """A server that speaks first."""
    one = Echo(b"a")
    yield one
    one.close()


@pytest.mark.parametrize("send", ["send-proxy", "send-proxy-v2", "send-proxy-v2 check inter 100ms"])
def test_the_client_is_that_of_haproxy_s_header(
    folder: Path, port: int, echo: Echo, send: str
) -> None:
    front = free_port()
    body = (
        f"listen front\n    mode tcp\n    bind 127.0.0.1:{front}\n"
        f"    server headgate 127.0.0.1:{port} {send}\n"
    )
    text = config(port, f"127.0.0.1:{echo.port}", listener=TRUSTED)
    with running(folder, text), haproxy(folder, front, body):
        assert talk(front, b"hello" * 1000, source=CLIENT) == b"a"
        AccessLog(folder / "access.log").line(client_ip=CLIENT)


def test_the_client_is_that_of_nginx_s_header(folder: Path, port: int, echo: Echo) -> None:
    front = free_port()
    body = (
        f"server {{ listen 127.0.0.1:{front}; proxy_half_close on; "
        f"proxy_protocol on; proxy_pass 127.0.0.1:{port}; }}"
    )
    text = config(port, f"127.0.0.1:{echo.port}", listener=TRUSTED)
    with running(folder, text), nginx(folder, front, body, block="stream"):
        assert talk(front, b"hello", source=CLIENT) == b"a"
        told = logged(folder, "client-end")
    assert (told["bytes_in"], told["bytes_out"]) == (5, 6)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_haproxy_takes_our_header_and_our_checks(folder: Path, port: int, version: str) -> None:
    back = free_port()
    body = (
        f"frontend back\n    bind 127.0.0.1:{back} accept-proxy\n"
        "    http-request return status 200 content-type text/plain "
        'lf-string "%[src] %[dst_port] %[fc_pp_unique_id]"\n'
    )
    told = f'proxy_protocol = "{version}"\nhealth_check = {{ protocol = "tcp" }}\n'
    text = config(port, f"127.0.0.1:{back}", upstream=told)
    with haproxy(folder, back, body), running(folder, text) as node:
        status, answer = get_from(CLIENT, port)
        source, to, *ids = answer.split()
        assert (status, source, to) == (200, CLIENT, str(port))
        # The id is also that of the access log.
        line = logged(folder, "client-end")
        assert ids == ([line["connection_id"]] if version == "v2" else [])

        def is_checked() -> bool:
            (upstream,) = json.loads(node.admin("GET", "/health")[1])["upstreams"]
            return all(one["state"] == "up" for one in upstream["endpoints"])

        until(is_checked, "the check passes")


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_nginx_takes_our_header(folder: Path, port: int, version: str) -> None:
    back = free_port()
    body = (
        f"server {{ listen 127.0.0.1:{back} proxy_protocol; "
        'location / { return 200 "$proxy_protocol_addr $proxy_protocol_server_port"; } }'
    )
    text = config(port, f"127.0.0.1:{back}", upstream=f'proxy_protocol = "{version}"\n')
    with nginx(folder, back, body), running(folder, text):
        assert get_from(CLIENT, port) == (200, f"{CLIENT} {port}")


def test_a_header_goes_through_two_nodes(folder: Path, port: int, echo: Echo) -> None:
    inner = free_port()
    (folder / "in").mkdir()
    behind = config(inner, f"127.0.0.1:{echo.port}", listener=TRUSTED)
    outer = config(port, f"127.0.0.1:{inner}", upstream='proxy_protocol = "v2"')
    with running(folder / "in", behind), running(folder, outer):
        assert talk(port, b"hello", source=CLIENT) == b"a"
        assert logged(folder / "in", "client-end")["bytes_in"] == 5


def test_what_is_no_header_of_a_trusted_peer_is_reset_and_counted(
    folder: Path, port: int, echo: Echo
) -> None:
    text = config(port, f"127.0.0.1:{echo.port}", listener=TRUSTED)
    with running(folder, text) as node:
        assert refused(port, b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
        assert refused(port, b"PROXY TCP4 1.1.1.1 1.1.1.1 01 2\r\n")
        assert refused(port, V1, source="127.0.0.9")
        for reason in ("missing", "malformed", "untrusted"):
            name = f'headgate_connections_refused_total{{reason="proxy_{reason}"}}'
            until(lambda: node.metric(name) == 1, f"{reason} is counted")  # noqa: B023
        for reason in ("missing", "malformed"):
            name = f'headgate_tcp_closed_total{{reason="proxy-{reason}"}}'
            until(lambda: node.metric(name) == 1, f"{reason} is counted")  # noqa: B023
        assert logged(folder, "proxy-missing", "127.0.0.1")["bytes_in"] == 0


def test_connections_of_many_clients_at_once_keep_their_own(
    folder: Path, port: int, echo: Echo
) -> None:
    text = config(port, f"127.0.0.1:{echo.port}", listener=TRUSTED)
    wrong: list[bytes] = []

    def one(n: int) -> None:
        message = bytes([n]) * 50_000
        header = f"PROXY TCP4 192.0.2.{n} 198.51.100.2 {1000 + n} 443\r\n".encode()
        with socket.create_connection(("127.0.0.1", port), DEADLINE_S) as link:
            sender = threading.Thread(target=lambda: link.sendall(header + message))
            sender.start()
            got = b""
            while len(got) < 1 + len(message) and (part := link.recv(65536)):
                got += part
            sender.join()
        if got != b"a" + message:
            wrong.append(got[:20])

    with running(folder, text):
        threads = [threading.Thread(target=one, args=(n,)) for n in range(1, 41)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE_S)
        assert wrong == []
        lines = AccessLog(folder / "access.log").lines(40)
        assert len(lines) == 40
    seen = {(line["client_ip"], line["client_port"], line["bytes_in"]) for line in lines}
    assert seen == {(f"192.0.2.{n}", 1000 + n, 50_000) for n in range(1, 41)}


def values(header: bytes) -> dict[int, bytes]:
    """The values (TLVs) of a header of version 2 for IPv4, by their kind."""
    found, rest = {}, header[16 + 12 :]
    while rest:
        kind, size = rest[0], int.from_bytes(rest[1:3], "big")
        found[kind], rest = rest[3 : 3 + size], rest[3 + size :]
    return found


def test_the_endpoint_hears_of_the_tls_that_ended_here(folder: Path, port: int) -> None:
    authority = Authority(folder)
    pair, member = authority.issue("a", "a.example"), authority.issue("member", "alice")
    back = socket.create_server(("127.0.0.1", 0))
    heard: list[bytes] = []

    def serve() -> None:
        with back.accept()[0] as one:
            head = one.recv(16, socket.MSG_WAITALL)
            more = int.from_bytes(head[14:16], "big")
            heard.append(head + one.recv(more, socket.MSG_WAITALL))
            one.sendall(one.recv(5, socket.MSG_WAITALL))

    server = threading.Thread(target=serve, daemon=True)
    server.start()
    tls = f"""{TRUSTED}
tls = {{ default_certificate = "a", policy = "members" }}
[tls_policies.members]
alpn = ["http/1.1"]
client_auth = {{ ca_file = "{authority.ca_file}" }}
{pair.toml("a")}"""
    endpoint = f"127.0.0.1:{back.getsockname()[1]}"
    text = config(port, endpoint, listener=tls, upstream='proxy_protocol = "v2"\n')
    context = trusting(authority.ca_file, identity=member)
    with back, running(folder, text):
        one = socket.create_connection(("127.0.0.1", port), DEADLINE_S)
        # The listener reads a header as well: then comes TLS.
        one.sendall(V1)
        with Secured(one, context, "a.example") as client:
            client.send(b"hello")
            assert client.rest() == b"hello"
            client.end()
        line = logged(folder, "endpoint-end", "192.0.2.7")
    server.join(DEADLINE_S)
    told = values(heard[0])
    assert (told[0x01], told[0x02]) == (b"http/1.1", b"a.example")
    # TLS, with a certificate of this connection and session, which was verified.
    assert told[0x20] == b"\x07\0\0\0\0" + b"\x21\0\x07TLSv1.3" + b"\x22\0\x05alice"
    assert (line["sni"], line["tls_version"]) == ("a.example", "TLSv1.3")
    assert line["connection_id"] == told[0x05].decode()
