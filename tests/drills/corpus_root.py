"""A root of its own for one public config, in which the real nginx judges it.

What the config names and nobody published is made up from nginx's own complaints: empty includes,
one self-signed certificate for all, users, groups, host names.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dh, ec
from cryptography.x509.oid import NameOID

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from peers import peer

CONFIGS = PurePosixPath("/etc/nginx")
STANDARD = frozenset(
    {
        "fastcgi.conf",
        "fastcgi_params",
        "mime.types",
        "proxy_params",
        "scgi_params",
        "uwsgi_params",
    }
)
"""Files that come with nginx."""

_SHARED = ("usr/lib", "usr/lib64", "usr/bin", "usr/sbin", "lib", "lib64", "bin", "sbin")
_FOLDERS = (
    *("dev", "etc", "etc/nginx", "proc", "run", "srv", "tmp", "usr/share/nginx"),
    *("var/cache/nginx", "var/lib/nginx", "var/log/nginx", "var/run", "var/www/html"),
)
_WRAPPER = "events {{}}\nhttp {{\n    include mime.types;\n{made_up}    include {entry};\n}}\n"
_STREAM = "/usr/lib/nginx/modules/ngx_stream_module.so"
_TEST = """\
echo 1 > /proc/sys/net/ipv4/ip_nonlocal_bind
echo 1 > /proc/sys/net/ipv6/ip_nonlocal_bind
for folder in $SHARED; do
    if [ -d "/$folder" ]; then mount --rbind "/$folder" "$ROOT/$folder"; fi
done
exec chroot "$ROOT" "$BINARY" -t -c "$CONF" -g "$GLOBAL"
"""
_PEM = r"(?:cannot load certificate(?: key)?|SSL_CTX_load_verify_(?:locations|file)\(|"
_PEM += r'SSL_load_client_CA_file\(|SSL_CTX_use_\w+\() ?"([^"]+)"'


class Verdict(NamedTuple):
    """What nginx said: the first line of its complaint."""

    accepted: bool
    said: str


class Stubs(NamedTuple):
    """What is made up for everybody: one key pair, parameters for Diffie-Hellman."""

    certificate: bytes
    parameters: bytes

    @classmethod
    def made(cls) -> "Stubs":
        """Fresh ones; certificate and key are in one file."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stub.example")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=30))
            .sign(key, hashes.SHA256())
        )
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        pem += key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        parameters = dh.generate_parameters(2, 1024).parameter_bytes(
            serialization.Encoding.PEM, serialization.ParameterFormat.PKCS3
        )
        return cls(pem, parameters)


class Root:
    """One root; `path` is where it is on this machine."""

    def __init__(self, path: Path, stubs: Stubs) -> None:
        self.path = path
        self._stubs = stubs
        self._nginx = peer("nginx")
        self._part = ""
        self._lines: list[str] = []
        self._global = ""
        self._answers = self._answers_to()
        for folder in (*_FOLDERS, *_SHARED):
            (path / folder).mkdir(parents=True, exist_ok=True)
        for name in ("passwd", "group", "nsswitch.conf"):
            shutil.copy(f"/etc/{name}", path / "etc" / name)
        (path / "etc/hosts").write_text("127.0.0.1 localhost\n")
        for name in ("null", "stdout", "stderr", "urandom"):
            (path / "dev" / name).touch()

    def fill(self, base: Path) -> None:
        """Puts a project's files at /etc/nginx, beside the standard ones it lacks."""
        place = self.path / "etc/nginx"
        shutil.copytree(base, place, dirs_exist_ok=True, ignore_dangling_symlinks=True)
        for name in STANDARD:
            if not (place / name).exists() and Path("/etc/nginx", name).exists():
                shutil.copy(Path("/etc/nginx", name), place / name)

    def entry(self, name: str, *, is_whole: bool) -> str:
        """The path of the entry; a part of `http` gets an entry around it."""
        if is_whole:
            return str(CONFIGS / name)
        self._part = str(CONFIGS / name)
        self._wrap()
        return str(CONFIGS / "unit.conf")

    def _wrap(self) -> None:
        made_up = "".join(f"    {line}\n" for line in self._lines)
        text = _WRAPPER.format(made_up=made_up, entry=self._part)
        (self.path / "etc/nginx/unit.conf").write_text(text)

    def read(self, path: str) -> bytes:
        """A file's bytes."""
        return self._inside(path).read_bytes()

    def write(self, files: Mapping[str, bytes]) -> None:
        """Replaces files."""
        for path, content in files.items():
            self._inside(path).write_bytes(content)

    def stub_file(self, path: str, content: bytes = b"") -> None:
        """A file that nobody published."""
        place = self._inside(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)

    def tested(self, entry: str, guesses: int) -> Verdict:
        """nginx's verdict, after up to so many things were made up for it."""
        for _ in range(guesses + 1):
            verdict, output = self._test(entry)
            if verdict.accepted or not self._made_up(output):
                return verdict
        return verdict

    def _test(self, entry: str) -> tuple[Verdict, str]:
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "ROOT": str(self.path),
            "BINARY": str(self._nginx),
            "CONF": entry,
            "GLOBAL": self._global,
            "SHARED": " ".join(_SHARED),
        }
        done = subprocess.run(
            ["unshare", "--mount", "--net", "sh", "-e", "-c", _TEST],  # noqa: S607
            capture_output=True,
            env=environment,
            check=False,
            timeout=60,
        )
        output = done.stderr.decode(errors="replace")
        complaints = [line for line in output.splitlines() if "[emerg]" in line]
        first = complaints[0].partition("[emerg] ")[2] if complaints else output.strip()[:200]
        return Verdict(done.returncode == 0, first), output

    def _made_up(self, output: str) -> bool:
        """Gives nginx what it complains of; False where that cannot be made up."""
        emergencies = "\n".join(line for line in output.splitlines() if "[emerg]" in line)
        for pattern, answer in self._answers:
            if found := re.search(pattern, emergencies):
                return answer(found)
        return self._around(emergencies)

    def _answers_to(self) -> tuple[tuple[str, Callable[[re.Match[str]], bool]], ...]:
        return (
            (r'BIO_new_file\("([^"]+)"\)', self._pem),
            (_PEM, self._pem),
            (r'(?:open|mkdir)\(\) "([^"]+)" failed \(2:', lambda m: self._new(m[1], b"")),
            (
                r'host not found in [^"]*"(?:\w+://)?([^":/]+)',
                lambda m: self._line("etc/hosts", f"127.0.0.1 {m[1]}\n"),
            ),
            (
                r'getpwnam\("([^"]+)"\) failed',
                lambda m: self._line("etc/passwd", f"{m[1]}:x:9999:9999::/:/bin/false\n"),
            ),
            (
                r'getgrnam\("([^"]+)"\) failed',
                lambda m: self._line("etc/group", f"{m[1]}:x:9999:\n"),
            ),
            (r'unknown directive "stream"', self._with_stream),
        )

    def _pem(self, found: re.Match[str]) -> bool:
        path = found[1]
        is_dh = "dhparam" in path.lower() or "/dh" in path
        return self._new(path, self._stubs.parameters if is_dh else self._stubs.certificate)

    def _with_stream(self, _: re.Match[str]) -> bool:
        if self._global:
            return False
        self._global = f"load_module {_STREAM};"
        return True

    def _around(self, emergencies: str) -> bool:
        """What the rest of `http` would have told a part of it."""
        if not self._part:
            return False
        line = ""
        if found := re.search(r'unknown log format "([^"]+)"', emergencies):
            line = f"log_format {found[1]} '$remote_addr';"
        elif found := re.search(r'unknown "(\w+)" variable', emergencies):
            line = f'map $host ${found[1]} {{ default ""; }}'
        elif found := re.search(r'no port in upstream "([^"]+)"', emergencies):
            line = f"upstream {found[1]} {{ server 127.0.0.1:9; }}"
        elif found := re.search(r'zero size shared memory zone "([^"]+)"', emergencies):
            line = f"limit_req_zone $binary_remote_addr zone={found[1]}:1m rate=1r/s;"
        elif 'no "ssl_certificate" is defined' in emergencies:
            self.stub_file("/stub.pem", self._stubs.certificate)
            line = "ssl_certificate /stub.pem; ssl_certificate_key /stub.pem;"
        if not line or line in self._lines:
            return False
        self._lines.append(line)
        self._wrap()
        return True

    def _new(self, path: str, content: bytes) -> bool:
        if "\0" in path or self._inside(path).exists():
            return False
        self.stub_file(path, content)
        return True

    def _line(self, name: str, line: str) -> bool:
        place = self.path / name
        text = place.read_text()
        if line in text:
            return False
        place.write_text(text + line)
        return True

    def _inside(self, path: str) -> Path:
        absolute = PurePosixPath("/usr/share/nginx") / path
        return self.path / absolute.relative_to("/")
