"""A `headgate master` as a process of its own, and requests to it."""

import http.client
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from waiting import until

PASSWORD = "correct horse battery"  # noqa: S105 - of tests


class MasterProcess:
    """A `headgate master` of its own."""

    program: tuple[str, ...] = (
        sys.executable,
        "-c",
        "from headgate.cli.main import main; main()",
    )
    """The command that headgate is."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        says: str = "/setup#",
        database_url: str = "",
        stderr: int | None = None,
    ) -> None:
        """`says`: what it prints once it is ready; a master with users prints no link.
        `database_url`: empty for SQLite. `stderr`: where its log goes, if not to `log`.
        """
        self.log = folder / "master.log"
        command = [*self.program, "master", "--data", str(folder / "data")]
        command += ["--agents-listen", "127.0.0.1:0", *options]
        environment = {k: v for k, v in os.environ.items() if k != "DATABASE_URL"}
        if database_url:
            environment["DATABASE_URL"] = database_url
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=stderr or log, env=environment
            )
        try:
            until(
                lambda: says in self.text() or self.process.poll() is not None,
                f"a master says {says}",
            )
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise

    def text(self) -> str:
        """What it printed."""
        return self.log.read_text()

    def link(self) -> tuple[str, str]:
        """The base URL and the token of the set-up link."""
        found = re.search(r"(https?://\S+)/setup#(\S+)", self.text())
        assert found is not None, self.text()
        return found[1], found[2]

    def agents_port(self) -> int:
        """Where agents connect."""
        found = re.search(r"address\W+127\.0\.0\.1:(\d+)", self.text())
        assert found is not None, self.text()
        return int(found[1])

    @property
    def base(self) -> str:
        """The URL of the REST port."""
        return self.link()[0]

    def set_up(self) -> str:
        """Makes the first administrator, `ann`; returns her access token."""
        base, token = self.link()
        body = {"token": token, "name": "ann", "password": PASSWORD}
        return str(call(f"{base}/api/v1/auth/setup", body)["access_token"])

    def stop(self) -> int:
        """Ends it as an operator would; returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(45)


@contextmanager
def master(
    folder: Path, *options: str, says: str = "/setup#", database_url: str = ""
) -> Iterator[MasterProcess]:
    """A master for the block."""
    one = MasterProcess(folder, *options, says=says, database_url=database_url)
    try:
        yield one
    finally:
        one.process.kill()
        one.process.wait()


def call(
    url: str,
    body: object = None,
    token: str = "",
    context: ssl.SSLContext | None = None,
    method: str | None = None,
) -> Any:
    """One request; the JSON of its answer, None for an empty one. Raises OSError, HTTPError among
    them, also for an answer that was cut off."""
    request = urllib.request.Request(url, method=method)  # noqa: S310 - a URL of ours
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("content-type", "application/json")
    if token:
        request.add_header("authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=45, context=context) as answer:  # noqa: S310
            text = answer.read()
            if not text and answer.status != 204 and answer.length is None:
                raise http.client.IncompleteRead(text)  # its head was cut off
    except http.client.HTTPException as error:
        raise ConnectionResetError(f"the answer was cut off: {error!r}") from error
    return json.loads(text) if text else None
