"""The PROXY protocol with real peers on both sides: HAProxy and nginx."""

import json
import socket
import ssl
from pathlib import Path

import pytest
from access_log import AccessLog
from echo_upstream import EchoUpstream
from ports import free_port
from proxied import get_from, haproxy, nginx, refused
from running_node import RunningNode, config
from tls_authority import Authority
from waiting import DEADLINE_S, until

CLIENT = "127.0.0.77"
# The time is long, so that nothing is late on a busy machine.
TRUSTED = 'proxy_protocol = { trusted = ["127.0.0.1/32"], timeout = "60s" }\n'
GET = b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n"
V1 = b"PROXY TCP4 192.0.2.7 198.51.100.2 56324 443\r\n"
LOGGED = 'access_log = { format = "json", sink = { path = "%s" } }\n'


def behind(port: int, upstream: str, listener: str = TRUSTED, extra: str = "") -> str:
    """A config whose listener is behind a load balancer."""
    return config(port, upstream, extra=extra).replace(
        "default = true\n", f"default = true\n{listener}"
    )


def seen(body: str) -> dict[str, str]:
    """The fields that an endpoint saw."""
    return dict(json.loads(body)["fields"])


@pytest.mark.parametrize("send", ["send-proxy", "send-proxy-v2", "send-proxy-v2 check"])
def test_the_client_of_haproxy_s_header_is_that_of_everything(
    folder: Path, port: int, send: str
) -> None:
    log = folder / "access.log"
    front = free_port()
    with EchoUpstream() as echo:
        text = behind(port, echo.address, extra=LOGGED % log)
        body = (
            f"listen front\n    bind 127.0.0.1:{front}\n"
            f"    server headgate 127.0.0.1:{port} {send} inter 100ms\n"
        )
        with RunningNode(folder, text).until_ready(), haproxy(folder, front, body):
            status, answer = get_from(CLIENT, front, **{"X-Forwarded-For": "6.6.6.6"})
            assert status == 200
            assert seen(answer)["x-forwarded-for"] == CLIENT
            assert seen(answer)["x-real-ip"] == CLIENT
            (line,) = AccessLog(log).lines(1, client_ip=CLIENT)
            assert "6.6.6.6" not in line.values()


def test_headers_about_the_client_count_if_the_one_of_the_header_is_trusted(
    folder: Path, port: int
) -> None:
    front = free_port()
    trusting = TRUSTED + f'client_ip = {{ trusted = ["{CLIENT}/32"] }}\n'
    body = (
        f"listen front\n    bind 127.0.0.1:{front}\n"
        f"    server headgate 127.0.0.1:{port} send-proxy-v2\n"
    )
    told = {"X-Forwarded-For": "203.0.113.1"}
    with EchoUpstream() as echo:
        text = behind(port, echo.address, trusting)
        with RunningNode(folder, text).until_ready(), haproxy(folder, front, body):
            ours = seen(get_from(CLIENT, front, **told)[1])
            theirs = seen(get_from("127.0.0.78", front, **told)[1])
    assert (ours["x-real-ip"], theirs["x-real-ip"]) == ("203.0.113.1", "127.0.0.78")


def test_what_is_no_header_of_a_trusted_peer_is_closed_and_counted(folder: Path, port: int) -> None:
    with EchoUpstream() as echo:
        text = behind(port, echo.address)
        with RunningNode(folder, text).until_ready() as node:
            for data in (GET, b"PROXY TCP4 1.1.1.1 1.1.1.1 01 2\r\n" + GET):
                assert refused(port, data)
            assert refused(port, V1 + GET, source="127.0.0.9")
            for reason in ("missing", "malformed", "untrusted"):
                name = f'headgate_connections_refused_total{{reason="proxy_{reason}"}}'
                until(lambda: node.metric(name) == 1, f"{reason} is counted")  # noqa: B023


def test_header_and_hello_come_byte_by_byte(folder: Path, port: int) -> None:
    authority = Authority(folder)
    pair = authority.issue("site", "a.example")
    listener = TRUSTED + "tls = {}\n"
    with EchoUpstream() as echo:
        text = behind(port, echo.address, listener) + pair.toml("site")
        text += '[hosts."a.example"]\ncertificate = ["site"]\n'
        with RunningNode(folder, text).until_ready():
            context = ssl.create_default_context(cafile=str(authority.ca_file))
            with socket.create_connection(("127.0.0.1", port), DEADLINE_S) as plain:
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for byte in V1:
                    plain.sendall(bytes([byte]))
                with context.wrap_socket(plain, server_hostname="a.example") as link:
                    link.sendall(GET)
                    answer = b""
                    while part := link.recv(65536):
                        answer += part
    assert seen(answer.partition(b"\r\n\r\n")[2].decode())["x-forwarded-for"] == "192.0.2.7"


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_haproxy_takes_our_header_and_our_checks(folder: Path, port: int, version: str) -> None:
    back = free_port()
    body = (
        f"frontend back\n    bind 127.0.0.1:{back} accept-proxy\n"
        "    http-request return status 200 content-type text/plain "
        'lf-string "%[src] %[dst_port] %[fc_pp_unique_id,length]"\n'
    )
    told = f'proxy_protocol = "{version}"\nhealth_check = {{ interval = "1s", timeout = "1s" }}\n'
    text = config(port, f"127.0.0.1:{back}") + told
    with haproxy(folder, back, body), RunningNode(folder, text).until_ready() as node:
        id_length = "32" if version == "v2" else ""
        assert get_from(CLIENT, port) == (200, f"{CLIENT} {port} {id_length}")

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
    text = config(port, f"127.0.0.1:{back}") + f'proxy_protocol = "{version}"\n'
    with nginx(folder, back, body), RunningNode(folder, text).until_ready():
        assert get_from(CLIENT, port) == (200, f"{CLIENT} {port}")


def test_a_header_goes_through_two_nodes(folder: Path, port: int) -> None:
    inner = free_port()
    (folder / "in").mkdir()
    with EchoUpstream() as echo:
        outer = config(port, f"127.0.0.1:{inner}") + 'proxy_protocol = "v2"\n'
        with (
            RunningNode(folder / "in", behind(inner, echo.address)).until_ready(),
            RunningNode(folder, outer).until_ready(),
        ):
            assert seen(get_from(CLIENT, port)[1])["x-real-ip"] == CLIENT


def test_a_check_refuses_headers_for_connections_that_clients_share(
    folder: Path, port: int
) -> None:
    text = config(port, "127.0.0.1:1") + 'protocol = "h2c"\nproxy_protocol = "v1"\n'
    with RunningNode(folder, config(port, "127.0.0.1:1")).until_ready() as node:
        node.write(text)
        done = node.command("reload")
        assert done.returncode != 0
        assert "proxy_protocol: a PROXY header tells of one client" in done.stdout + done.stderr
