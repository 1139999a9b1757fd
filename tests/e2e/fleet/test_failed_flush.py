"""A disk that does not flush what the master's database wrote (EIO): writes are refused, agents
stay, and what was acknowledged is there after a crash."""

import http.client
import shutil
import subprocess
import urllib.error
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from fleet_node import Node, serving
from master_operator import Operator, W, put
from master_process import PASSWORD, MasterProcess
from ports import free_port
from postgres import Postgres
from running_node import Upstream, get
from waiting import until

SOURCE = Path(__file__).with_name("failed_flush.c")
TRIES = 20
REFUSED = http.client.SERVICE_UNAVAILABLE


def shim(folder: Path) -> dict[str, str]:
    """The environment of a process whose flushes fail while `folder/fails` exists."""
    library, compiler = folder / "failed_flush.so", shutil.which("cc")
    assert compiler is not None
    command: list[str | Path] = [compiler, "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"]
    subprocess.run(command, check=True)
    return {"LD_PRELOAD": str(library), "FLUSH_FAILS": str(folder / "fails")}


@contextmanager
def environment(preload: Mapping[str, str]) -> Iterator[None]:
    """What is started in the block has these variables."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in preload.items():
            patch.setenv(name, value)
        yield


class Site:
    """A master, and a node that serves the first revision of its fleet."""

    def __init__(self, folder: Path, port: int, database_url: str, preload: Mapping[str, str]):
        self._folder, self._port, self._url = folder / "m", port, database_url
        self._folder.mkdir()
        self._rest, self._grpc = free_port(), free_port()
        with environment(preload):
            self._master = self._started("/setup#")
        self.person = Operator(self._master)

    def _started(self, says: str) -> MasterProcess:
        options = ["--listen", f"127.0.0.1:{self._rest}", "--fleet-tls"]
        options += ["--agents-listen", f"127.0.0.1:{self._grpc}"]
        return MasterProcess(self._folder, *options, says=says, database_url=self._url)

    @contextmanager
    def serves(self, upstream: str) -> Iterator[None]:
        """Runs the node, and stops both at the end."""
        try:
            self.person.ask(f"{W}/fleets", {"name": "edge"})
            token = self.person.ask(f"{W}/join-tokens", {"fleet": "edge"})["token"]
            url = f"grpcs://127.0.0.1:{self._grpc}?rest={self._rest}"
            with Node(self._folder.parent, url, token) as self._node:
                put(self.person, self._port, upstream)
                self.person.ask(f"{W}/revisions", {"fleet": "edge"})
                until(lambda: serving(self.person) == 1, "it is serving", deadline_s=120)
                yield
        finally:
            self._master.process.kill()
            self._master.process.wait()

    def is_undisturbed(self) -> bool:
        """Whether the node serves, and its agent has the session that it began with."""
        sessions = self._node.log.read_text().count('"master.connected"')
        return get(self._port)[1] == b"one" and sessions == 1

    def restart_master(self) -> None:
        """Kills the master and starts another."""
        self._master.process.kill()
        self._master.process.wait()
        self._master = self._started("the master serves")
        body = {"name": "ann", "password": PASSWORD}
        self.person.token = ""
        self.person.token = str(self.person.ask("/api/v1/auth/login", body)["access_token"])

    def added(self, name: str) -> int:
        """The status of an attempt to add an upstream."""
        spec = {"spec": {"endpoints": ["127.0.0.1:9000"]}}
        try:
            self.person.ask(f"{W}/resources/upstreams/{name}", spec, "PUT")
        except urllib.error.HTTPError as error:
            with error:
                return error.code
        return http.client.OK

    def refuses_writes(self) -> bool:
        """Whether it refuses every one of many writes."""
        return {self.added(f"failing{number}") for number in range(TRIES)} == {REFUSED}

    def names(self) -> set[str]:
        """The upstreams that the master has."""
        items = self.person.ask(f"{W}/resources?kind=upstreams&limit=100")["items"]
        return {str(one["name"]) for one in items}


@pytest.mark.timeout(600)
def test_sqlite_that_flushes_nothing_refuses_writes_and_loses_nothing(
    folder: Path, port: int, one: Upstream
) -> None:
    site = Site(folder, port, "", shim(folder))
    with site.serves(one.address):
        assert site.added("before") == http.client.OK
        (folder / "fails").touch()
        assert site.refuses_writes()
        assert site.names() == {"app", "before"}, "reads are served, from what was flushed"
        assert site.person.agent()["state"] == "connected"
        (folder / "fails").unlink()
        until(lambda: site.added("after") == http.client.OK, "writes go on")
        kept = site.names()
        assert kept == {"app", "before", "after"}
        assert site.is_undisturbed()
        site.restart_master()
        assert site.names() >= kept, "what was acknowledged is there"


@pytest.mark.timeout(600)
def test_postgresql_that_flushes_nothing_refuses_writes_and_loses_nothing(
    folder: Path, port: int, one: Upstream
) -> None:
    # The server runs as a user of its own.
    folder.chmod(0o755)
    with environment(shim(folder)):
        cluster = Postgres(is_durable=True)
    try:
        site = Site(folder, port, cluster.database(), {})
        with site.serves(one.address):
            assert site.added("before") == http.client.OK
            (folder / "fails").touch()
            assert site.refuses_writes()
            # It panics, and cannot recover either, for that takes flushes.
            until(lambda: not cluster.is_running(), "PostgreSQL gave up")
            assert site.refuses_writes()
            (folder / "fails").unlink()
            cluster.start()
            until(lambda: site.added("after") == http.client.OK, "writes go on")
            until(lambda: site.person.agent()["state"] == "connected", "it is connected")
            # What was refused may be there: the server had written it before it failed.
            kept = {name for name in site.names() if not name.startswith("failing")}
            assert kept == {"app", "before", "after"}
            assert site.is_undisturbed()
            site.restart_master()
            assert site.names() >= kept, "what was acknowledged is there"
    finally:
        cluster.close()
