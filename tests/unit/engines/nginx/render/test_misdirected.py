"""Which hosts a connection may ask for by its SNI, whatever bytes that has: on a real nginx."""

import socket
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from nginx_engine import NginxEngine
from ports import free_ports
from tls_authority import Authority, Pair
from tls_client import trusting
from waiting import DEADLINE_S

CONFIG = """
[listeners.welcoming]
address = "127.0.0.1:{welcoming}"
default = true
tls = {{ policy = "partners", default_certificate = "www", unknown_sni = "default" }}

[listeners.rejecting]
address = "127.0.0.1:{rejecting}"
default = true
tls = {{ policy = "partners", default_certificate = "www", unknown_sni = "reject" }}

[tls_policies.partners]
client_auth = {{ ca_file = "{partners}" }}

[tls_policies.staff]
client_auth = {{ ca_file = "{staff}" }}

[tls_policies.asking]
client_auth = {{ ca_file = "{staff}", required = false }}

[hosts."admin.example"]
certificate = "admin"
tls_policy = "staff"

[hosts."*.below.example"]
certificate = "admin"
tls_policy = "staff"

[hosts."asking.example"]
certificate = "admin"
tls_policy = "asking"
middlewares = [{{ client_certificate = {{ mode = "required" }} }}]

[hosts."[2001:db8::1]"]
certificate = "admin"
tls_policy = "staff"

[routes.www]
hosts = ["www.example"]
respond = {{ body = "www" }}

[routes.admin]
hosts = ["admin.example", "*.below.example", "asking.example", "[2001:db8::1]"]
respond = {{ body = "admin" }}
"""
NAMES = [
    *(b"/ /", b"x x", b"  ", b" ", b"a", b"www.example x", b" www.example", b"www.example "),
    *(b"x\tx", b"x\rx", b"x\nx", b"x\n\nx", b'x"x', b"'", b"x$x", b"$host", b"x\\x", b"x;x", b"~"),
    *(b"www.example:1", b"x/x", b"n", b"u", b"0", b"0 0", b"x x 0 0", b"admin.example admin"),
    b"x x.below.example",
    b"x..below.example",
    b"x/.below.example",
    b"x\n.below.example",
    b"x x admin.example admin.example 1 1",
    b"admin.example admin.example 1 1\n",
]
"""Names for the handshake; no host that asks for another authority has one of them."""
GUARDED = ["admin.example", "x.below.example", "asking.example", "[2001:db8::1]"]


class Listening(NamedTuple):
    """Where nginx listens, and a client with a certificate of the partners' authority."""

    ports: list[int]
    ca_file: Path
    partner: Pair


@pytest.fixture(scope="module", name="listening")
def started() -> Iterator[Listening]:
    """An nginx with hosts that ask for certificates of two authorities."""
    with tempfile.TemporaryDirectory(prefix="hg-") as name:
        folder = Path(name)
        servers, partners, staff = (Authority(folder, one) for one in ("servers", "ours", "staff"))
        www = servers.issue("www", "www.example").toml("www")
        admin = servers.issue("admin", "admin.example").toml("admin")
        ports = free_ports(2)
        text = CONFIG.format(
            welcoming=ports[0],
            rejecting=ports[1],
            partners=partners.ca_file,
            staff=staff.ca_file,
        )
        path = folder / "headgate.toml"
        path.write_text(text + www + admin)
        with NginxEngine(path, folder):
            yield Listening(ports, servers.ca_file, partners.issue("partner", "partner"))


def asked(listening: Listening, port: int, sni: bytes | None, host: str) -> str:
    """The status and the body that a partner gets for a host after a handshake with that name."""
    context = trusting(listening.ca_file, identity=listening.partner)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    request = f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    answer = b""
    with (
        socket.create_connection(("127.0.0.1", port), DEADLINE_S) as plain,
        # Text would be checked; bytes go as they are.
        context.wrap_socket(plain, server_hostname=sni) as wrapped,
    ):
        wrapped.sendall(request.encode())
        while got := wrapped.recv(1 << 16):
            answer += got
    head, _, body = answer.decode().partition("\r\n\r\n")
    return f"{head[9:12]} {body}"


@pytest.mark.parametrize("host", GUARDED)
@pytest.mark.parametrize("sni", NAMES, ids=repr)
def test_no_name_opens_a_host_that_asks_for_another_authority(
    listening: Listening, sni: bytes, host: str
) -> None:
    for port in listening.ports:
        try:
            found = asked(listening, port, sni, host)
        except ssl.SSLError as error:
            found = str(error)
        assert found.startswith("421 ") or "UNRECOGNIZED_NAME" in found.upper(), port


@pytest.mark.parametrize("host", [*GUARDED, "www.example"])
@pytest.mark.parametrize("sni", [b"admin.example:1", b"x.below.example:", b"asking.example:x"])
def test_a_name_with_a_port_opens_nothing(listening: Listening, sni: bytes, host: str) -> None:
    # nginx takes the server of what stands before the colon, and says 400 itself.
    assert asked(listening, listening.ports[0], sni, host)[:3] in ("400", "421")


@pytest.mark.parametrize(
    "sni", [b"www.example", b"WWW.Example", b"www.example.", b"_x-1.example", None], ids=repr
)
def test_a_name_or_none_opens_what_its_authority_may_open(
    listening: Listening, sni: bytes | None
) -> None:
    assert asked(listening, listening.ports[0], sni, "www.example") == "200 www"
    for host in GUARDED:
        assert asked(listening, listening.ports[0], sni, host)[:3] in ("400", "421"), host
