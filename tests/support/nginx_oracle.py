"""Asks the real nginx what it thinks of a text; everything it writes stays in one folder."""

import subprocess
from pathlib import Path
from typing import NamedTuple

from peers import peer
from waiting import DEADLINE_S


class Verdict(NamedTuple):
    """What `nginx -t` said."""

    accepted: bool
    output: bytes


class NginxOracle:
    """`nginx -t` on configs of ours, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._binary = peer("nginx")
        self._folder = folder
        self._apart = ("-e", "stderr", "-g", "pid test.pid;")

    def test(self, text: bytes) -> Verdict:
        """Whether nginx accepts the whole config."""
        path = self._folder / "nginx.conf"
        path.write_bytes(text)
        done = subprocess.run(
            [self._binary, "-t", "-q", "-c", path, "-p", self._folder, *self._apart],
            capture_output=True,
            check=False,
            timeout=DEADLINE_S,
        )
        return Verdict(done.returncode == 0, done.stderr)

    def test_http(self, inside: bytes) -> Verdict:
        """Whether nginx accepts this text inside `http`."""
        paths = b"".join(
            b"%s_temp_path %s;" % (kind, kind)
            for kind in (b"client_body", b"proxy", b"fastcgi", b"uwsgi", b"scgi")
        )
        return self.test(b"events {} http { " + paths + b"access_log off;\n" + inside + b"\n}\n")
