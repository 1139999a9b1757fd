"""TLS that ends at a TCP listener of a node that drives an nginx: renewal and rollback."""

import socket
from pathlib import Path

import pytest
from cryptography import x509
from nginx_engine import stream_capabilities
from running_node import RunningNode
from stream_end import Secured
from tcp_echo import Echo
from tls_authority import Authority
from tls_client import trusting
from waiting import DEADLINE_S, until

CONFIG = """
[node]
admin = "off"
[listeners.tls]
address = "127.0.0.1:{port}"
protocol = "tcp"
tls = {{ default_certificate = "shop" }}
{pair}
[tcp_routes.shop]
listeners = "tls"
upstream = "shop"
timeouts = {{ idle = "{minutes}m" }}
[upstreams.shop]
endpoints = ["127.0.0.1:{endpoint}"]
"""

pytestmark = pytest.mark.usefixtures("able", "probed")


@pytest.fixture
def able() -> None:
    """Skips the test without `stream`, or fails it in CI."""
    stream_capabilities()


def served(port: int, authority: Authority) -> int:
    """The serial number of the certificate that a client gets, and an endpoint behind it."""
    context = trusting(authority.ca_file)
    context.set_alpn_protocols([])
    raw = socket.create_connection(("127.0.0.1", port), DEADLINE_S)
    with Secured(raw, context, "shop.example") as one:
        assert one.receive() == b"a"
        der = one.tls.getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der).serial_number


def test_a_renewed_certificate_is_served_also_after_a_rollback(folder: Path, port: int) -> None:
    authority = Authority(folder)
    first = authority.issue("shop", "shop.example")
    echo = Echo(b"a")

    def text(minutes: int) -> str:
        pair = first.toml("shop")
        return CONFIG.format(port=port, pair=pair, endpoint=echo.port, minutes=minutes)

    try:
        with RunningNode(folder, text(10), "--engine", "nginx").until_ready() as node:
            assert served(port, authority) == first.serial
            status, body = node.admin("GET", "/status")
            assert status == 200 and b"PRIVATE KEY" not in body, body
            expiry = node.metric('headgate_certificate_expiry_days{certificate="shop"}')
            assert 29 <= expiry <= 30
            node.write(text(11))
            assert node.admin("POST", "/reload")[0] == 200
            renewed = authority.issue("shop", "shop.example", days=60)
            until(lambda: served(port, authority) == renewed.serial, "the new certificate")
            # The release before has the same config with the first certificate.
            back = lambda: "verified" in node.command("nginx", "rollback").stdout  # noqa: E731
            until(back, "the release before, once the newest is applied")
            assert served(port, authority) == renewed.serial
    finally:
        echo.close()
