"""Certificates of unusual forms, as OpenSSL makes them and nginx serves them, on both engines."""

import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from peers import peer
from ports import free_port
from running_node import HEADGATE, RunningNode
from tls_client import ask, nameless

CONFIG = """
[node]
admin = "off"

[listeners.secure]
address = "127.0.0.1:{port}"
default = true
tls = {{ default_certificate = "odd" }}

[certificates.odd]
cert_file = "{folder}/odd.pem"
key_file = "{folder}/odd.key"

[routes.all]
respond = {{ body = "served" }}
"""


BOM = b"\xef\xbb\xbf"
SIGNED = ("-days", "9", "-addext", "subjectAltName=DNS:a.example")


def run(*words: object) -> None:
    """Has openssl do something."""
    whole = [str(peer("openssl")), *map(str, words)]
    subprocess.run(whole, check=True, capture_output=True)


def key(folder: Path, *more: str) -> Path:
    """A key on P-256."""
    made = folder / "odd.key"
    run("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", *more, "-out", made)
    return made


def request(folder: Path, *more: str) -> list[object]:
    """The words that ask for a certificate, or make one that signs itself."""
    return ["req", "-new", "-key", key(folder), "-subj", "/CN=a.example", *more, "-out"]


def version_1(folder: Path) -> None:
    """Without extensions, as `openssl x509 -req` makes it where none are asked for."""
    asked, old = folder / "odd.csr", folder / "odd.pem"
    run(*request(folder), asked)
    run("x509", "-req", "-in", asked, "-signkey", folder / "odd.key", "-out", old)
    assert x509.load_pem_x509_certificate(old.read_bytes()).version is x509.Version.v1


def unknown_extension(folder: Path) -> None:
    """With a critical extension that nobody knows, and critical policies."""
    more = ("1.3.6.1.4.1.99999=critical,ASN1:NULL", "certificatePolicies=critical,1.2.3.4")
    added = [word for one in more for word in ("-addext", one)]
    run(*request(folder, "-x509", *SIGNED, *added), folder / "odd.pem")


def marked(folder: Path) -> None:
    """In files that an editor began with the mark of UTF-8."""
    run(*request(folder, "-x509", *SIGNED), folder / "odd.pem")
    for end in ("key", "pem"):
        file = folder / f"odd.{end}"
        file.write_bytes(BOM + file.read_bytes())


@pytest.mark.parametrize("engine", ["native", "nginx"])
@pytest.mark.parametrize("make", [version_1, unknown_extension, marked])
def test_it_is_served(folder: Path, make: Callable[[Path], None], engine: str) -> None:
    if engine == "nginx":
        peer("nginx")
    make(folder)
    port = free_port()
    text = CONFIG.format(port=port, folder=folder)
    context = nameless(ssl.create_default_context())
    context.verify_mode = ssl.CERT_NONE
    with RunningNode(folder, text, "--no-watch", "--engine", engine).until_ready():
        seen = ask(port, None, context)
    pem = (folder / "odd.pem").read_bytes().removeprefix(BOM)
    serial = x509.load_pem_x509_certificate(pem).serial_number
    assert (seen.status, seen.body, seen.serial) == (200, b"served", serial)


def test_a_key_that_is_described_by_its_curve_is_refused_for_that(folder: Path) -> None:
    """RFC 8422 §5.1.1 took explicit curves out of TLS; browsers refuse such certificates."""
    explicit = key(folder, "-pkeyopt", "ec_param_enc:explicit")
    made = folder / "odd.pem"
    run("req", "-x509", "-new", "-key", explicit, "-subj", "/CN=a.example", *SIGNED, "-out", made)
    config = folder / "headgate.toml"
    config.write_text(CONFIG.format(port=free_port(), folder=folder))
    done = subprocess.run([HEADGATE, "check", config], capture_output=True, text=True, check=False)
    assert done.returncode == 78
    assert "certificates.odd.cert_file: the certificate describes its key with" in done.stdout
