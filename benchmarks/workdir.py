"""The basis of a benchmark run: its folder, the programs it compiles, ports, a key pair."""

import os
import resource
import shutil
import socket
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
WORK = HERE / "work"
RESULTS = HERE / "results"


TLS_CIPHER = "TLS_AES_128_GCM_SHA256"
"""The only cipher suite that clients offer, so that every peer uses it (RFC 8446 §B.4)."""


def prepare() -> None:
    """Makes the folder, the programs and the key pair; raises descriptors' limit to the most."""
    WORK.mkdir(exist_ok=True)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for name in ("backend", "load", "bulk", "datagrams"):
        compile_c(name)
    make_key_pair()
    _OPENSSL_CONF.write_text(_OPENSSL.format(cipher=TLS_CIPHER))


_OPENSSL = """\
openssl_conf = start
[start]
ssl_conf = ssl
[ssl]
system_default = clients
[clients]
Ciphersuites = {cipher}
"""


_OPENSSL_CONF = WORK / "openssl.cnf"


def client_environment() -> dict[str, str]:
    """The environment of wrk and `load.c`: OpenSSL offers the one cipher suite there."""
    return os.environ | {"OPENSSL_CONF": str(_OPENSSL_CONF)}


def compile_c(name: str) -> Path:
    """The program of `NAME.c`, compiled if its source or a header is newer."""
    source, program = HERE / f"{name}.c", WORK / name
    newest = max(one.stat().st_mtime for one in (source, *HERE.glob("*.h")))
    if not program.exists() or program.stat().st_mtime < newest:
        subprocess.run(["cc", "-O2", "-o", program, source, "-ldl"], check=True)
    return program


def compile_go(name: str) -> Path | str:
    """The program of `NAME.go` (standard library only), or why there is none."""
    if shutil.which("go") is None:
        return "go is not installed"
    source, program = HERE / f"{name}.go", WORK / name
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        done = subprocess.run(
            ["go", "build", "-o", program, source], capture_output=True, text=True, check=False
        )
        if done.returncode:
            return f"{source.name} does not build: {done.stderr.strip()[-200:]}"
    return program


def make_key_pair() -> None:
    """A self-signed P-256 pair: `cert.pem`, `key.pem`, `both.pem`."""
    cert, key, both = (WORK / f"{name}.pem" for name in ("cert", "key", "both"))
    if both.exists():
        return
    subject = ["-subj", "/CN=bench.example", "-addext", "subjectAltName=DNS:bench.example"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3650"]
    subprocess.run(
        ["openssl", "req", "-x509", *curve, *subject, "-keyout", key, "-out", cert],
        check=True,
        capture_output=True,
    )
    both.write_text(cert.read_text() + key.read_text())


def free_port() -> int:
    """A loopback port that nobody has just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def commit() -> str:
    """The checkout's commit, short; `+` after it when files differ, `none` before the first."""

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", ROOT, *arguments], capture_output=True, text=True, check=False
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    name = git("rev-parse", "--short", "HEAD")
    if not name:
        return "none"
    return name + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
