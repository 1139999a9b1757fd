"""A certificate of version 1, as `openssl x509 -req` makes it, is served by both engines."""

import ssl
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from peers import peer
from ports import free_port
from running_node import RunningNode
from tls_client import ask, nameless

CONFIG = """
[node]
admin = "off"

[listeners.secure]
address = "127.0.0.1:{port}"
default = true
tls = {{ default_certificate = "old" }}

[certificates.old]
cert_file = "{folder}/old.pem"
key_file = "{folder}/old.key"

[routes.all]
respond = {{ body = "served" }}
"""


def made(folder: Path) -> int:
    """Makes the pair; its serial number."""
    openssl = str(peer("openssl"))
    key, request, old = (folder / f"old.{end}" for end in ("key", "csr", "pem"))
    asking = ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    asking += ["-subj", "/CN=a.example", "-keyout", str(key), "-out", str(request)]
    signing = ["x509", "-req", "-in", str(request), "-signkey", str(key), "-out", str(old)]
    for words in (asking, signing):
        subprocess.run([openssl, *words], check=True, capture_output=True)
    found = x509.load_pem_x509_certificate(old.read_bytes())
    assert found.version is x509.Version.v1
    return found.serial_number


@pytest.mark.parametrize("engine", ["native", "nginx"])
def test_a_certificate_of_version_1_is_served(folder: Path, engine: str) -> None:
    if engine == "nginx":
        peer("nginx")
    serial, port = made(folder), free_port()
    text = CONFIG.format(port=port, folder=folder)
    context = nameless(ssl.create_default_context())
    context.verify_mode = ssl.CERT_NONE
    with RunningNode(folder, text, "--no-watch", "--engine", engine).until_ready():
        seen = ask(port, None, context)
    assert (seen.status, seen.body, seen.serial) == (200, b"served", serial)
