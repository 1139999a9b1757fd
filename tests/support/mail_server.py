"""An Exim of our own: STARTTLS, mail only from clients that used it, messages kept in its queue."""

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from peers import peer
from ports import free_port
from tls_authority import Pair
from waiting import until

HOST = "mail.example"
_USER = "Debian-exim"
_CONFIG = """
primary_hostname = {host}
spool_directory = {spool}
log_file_path = {spool}/%slog
keep_environment =
tls_advertise_hosts = *
tls_certificate = {cert}
tls_privatekey = {key}
smtp_banner = {host} ESMTP
host_lookup =
rfc1413_hosts =
acl_smtp_rcpt = from_tls
queue_only
begin acl
from_tls:
  accept encrypted = *
  deny message = TLS first
"""


class MailServer:
    """A running Exim."""

    def __init__(self, port: int, spool: Path) -> None:
        self.port = port
        self._spool = spool

    def bodies(self) -> list[bytes]:
        """The bodies of the messages that it has accepted, with LF as line ends."""
        found = sorted((self._spool / "input").glob("*-D"))
        return [path.read_bytes().split(b"\n", 1)[1] for path in found]


@contextmanager
def mail_server(folder: Path, pair: Pair) -> Iterator[MailServer]:
    """An Exim in a folder; takes root, as Exim trusts only configs of root."""
    exim, port = peer("exim4"), free_port()
    owner = pwd.getpwnam(_USER)
    folder.chmod(0o755)
    spool = folder / "spool"
    spool.mkdir()
    cert, key = (Path(shutil.copy(path, spool)) for path in (pair.cert_file, pair.key_file))
    for path in (spool, cert, key):
        os.chown(path, owner.pw_uid, owner.pw_gid)
    config = folder / "exim.conf"
    config.write_text(_CONFIG.format(host=HOST, spool=spool, cert=cert, key=key))
    config.chmod(0o644)
    options = ["-bdf", "-C", str(config), "-oX", f"127.0.0.1.{port}", "-oP", str(spool / "pid")]
    with subprocess.Popen([str(exim), *options], stdin=subprocess.DEVNULL) as server:

        def is_open() -> bool:
            assert server.poll() is None, "Exim has ended"
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        try:
            until(is_open, "Exim listens")
            yield MailServer(port, spool)
        finally:
            server.terminate()
