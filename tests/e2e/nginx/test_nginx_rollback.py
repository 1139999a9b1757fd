"""Rolling back by hand on a real nginx: with today's secrets, exactly, from the command line."""

import base64
import hashlib
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from peers import unavailable
from ports import free_port
from real_nginx import RealNginx
from running_node import HEADGATE
from tls_authority import Authority, Pair

from headgate.engines.nginx.apply.here import Here, remember
from headgate.engines.nginx.apply.results import Applied
from headgate.engines.nginx.apply.rollback import choose, roll_back
from headgate.engines.nginx.common.types import ServedName

NAME = "tls.example"


@pytest.fixture
def nginx(folder: Path) -> Iterator[RealNginx]:
    """An nginx that serves generation 1."""
    with RealNginx(folder) as running:
        running.must_apply()
        yield running


def test_an_edited_release_is_restored_before_it_is_gone_back_to_by_hand(nginx: RealNginx) -> None:
    nginx.must_apply()
    previous = choose(nginx.store, None)
    conf = nginx.store.path(previous) / "http" / "site.conf"
    conf.chmod(0o600)
    conf.write_text("nonsense;")
    result = roll_back(nginx.applier, nginx.store, None, exact=True)
    assert isinstance(result, Applied)
    assert nginx.generation() == 1
    assert nginx.store.verify(previous) == ()
    assert [path.name.split(".")[0] for path in (nginx.root / "edited").iterdir()] == [
        str(previous)
    ]


class TestRollback:
    """`headgate nginx rollback`."""

    def release(self, nginx: RealNginx, port: int, pair: Pair, users: bytes) -> dict[str, object]:
        """A TLS site with passwords; its files have names as rendered ones have."""
        cert, key = pair.cert_file.read_bytes(), pair.key_file.read_bytes()
        digests = [hashlib.sha256(one).hexdigest()[:12] for one in (cert, key)]
        paths = [
            f"certs/{NAME}-{digests[0]}.pem",
            f"certs/{NAME}-{digests[1]}.key",
            "users/site.htpasswd",
        ]
        http = f"""
server {{
    listen 127.0.0.1:{port} ssl;
    server_name {NAME};
    ssl_certificate {paths[0]};
    ssl_certificate_key {paths[1]};
    auth_basic "r";
    auth_basic_user_file {paths[2]};
}}"""
        leaf = hashlib.sha256(ssl.PEM_cert_to_DER_cert(cert.decode())).hexdigest()
        return {
            "http": http,
            "files": dict(zip(paths, (cert, key, users), strict=True)),
            "names": (ServedName(f"127.0.0.1:{port}", NAME, (leaf,)),),
        }

    def test_it_keeps_renewed_certificates_and_revoked_credentials(
        self, nginx: RealNginx, tmp_path: Path
    ) -> None:
        authority, port = Authority(tmp_path), free_port()
        old = authority.issue("old", NAME, days=2)
        new = authority.issue("new", NAME, days=90)
        nginx.must_apply(**self.release(nginx, port, old, b"ann:{PLAIN}x\nbob:{PLAIN}y\n"))
        newer = self.release(nginx, port, new, b"ann:{PLAIN}x\n")
        nginx.must_apply(**newer)
        before = nginx.store.read(choose(nginx.store, None))
        result = roll_back(nginx.applier, nginx.store, None, exact=False)
        assert isinstance(result, Applied), result
        assert nginx.generation() == result.generation == 4
        after = nginx.store.read(result.release)
        assert [one.path for one in after.files] == [one.path for one in before.files]
        contents = {one.path: one.content for one in after.files}
        assert set(newer["files"].values()) <= set(contents.values())  # type: ignore[attr-defined]
        assert after.served_names == newer["names"], "and it was verified to be served"
        assert status(port, "bob:y") == 401

    def test_it_works_from_the_command_line_without_a_node(self, folder: Path) -> None:
        root = folder / "nginx"
        root.mkdir()
        with RealNginx(root) as nginx:
            nginx.must_apply()
            nginx.must_apply()
            folder.chmod(0o755)
            remember(root, Here(nginx.place, nginx.settings(0.1)))
            done = subprocess.run(
                [HEADGATE, "nginx", "rollback", "--state-dir", folder],
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            assert done.stdout.startswith("serves release 1-")
            assert "held for 30 min by" in done.stderr or "held for 30 min:" in done.stderr
            assert nginx.generation() == 1
            assert nginx.must_refuse().cause.code == "held"

    def test_the_exact_release_is_used_where_that_is_asked_for(self, nginx: RealNginx) -> None:
        nginx.must_apply()
        result = roll_back(nginx.applier, nginx.store, "1", exact=True)
        assert isinstance(result, Applied)
        assert nginx.generation() == 1
        assert nginx.links()["known_good"].startswith("1-")
        assert nginx.links()["previous"].startswith("2-")
        assert nginx.must_apply().generation == 3


def status(port: int, user: str) -> int:
    """The status of a request with basic auth over TLS."""
    curl = shutil.which("curl")
    if curl is None:
        unavailable("curl is missing")
    code = base64.b64encode(user.encode()).decode()
    done = subprocess.run(
        [
            curl,
            "-sk",
            "-o/dev/null",
            "-w%{http_code}",
            f"-HAuthorization: Basic {code}",
            "--resolve",
            f"{NAME}:{port}:127.0.0.1",
            f"https://{NAME}:{port}/",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)
