"""A disk that does not flush what the master's database wrote (EIO): writes are refused, agents
stay, and what was acknowledged is there after a crash."""

import http.client
import shutil
import subprocess
import urllib.error
from pathlib import Path

import pytest
from fleet_node import Node, serving
from master_operator import Operator, W, put
from master_process import PASSWORD, master
from ports import free_port
from running_node import Upstream, get
from waiting import until

SOURCE = Path(__file__).with_name("failed_flush.c")
TRIES = 20


def shim(folder: Path) -> Path:
    """The library that has flushes fail, built here."""
    library, compiler = folder / "failed_flush.so", shutil.which("cc")
    assert compiler is not None
    command: list[str | Path] = [compiler, "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"]
    subprocess.run(command, check=True)
    return library


def added(person: Operator, name: str) -> int:
    """The status of an attempt to add an upstream."""
    spec = {"spec": {"endpoints": ["127.0.0.1:9000"]}}
    try:
        person.ask(f"{W}/resources/upstreams/{name}", spec, "PUT")
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    return http.client.OK


def names(person: Operator) -> set[str]:
    """The upstreams that the master has."""
    items = person.ask(f"{W}/resources?kind=upstreams&limit=100")["items"]
    return {str(one["name"]) for one in items}


@pytest.mark.timeout(600)
def test_a_disk_that_flushes_nothing_refuses_writes_and_loses_nothing(
    folder: Path, port: int, one: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "m").mkdir()
    mark, library = folder / "fails", shim(folder)
    rest, grpc = free_port(), free_port()
    options = ["--listen", f"127.0.0.1:{rest}", "--fleet-tls"]
    options += ["--agents-listen", f"127.0.0.1:{grpc}"]
    with monkeypatch.context() as preloaded:
        preloaded.setenv("LD_PRELOAD", str(library))
        preloaded.setenv("FLUSH_FAILS", str(mark))
        running = master(folder / "m", *options)
        process = running.__enter__()
    try:
        person = Operator(process)
        person.ask(f"{W}/fleets", {"name": "edge"})
        token = person.ask(f"{W}/join-tokens", {"fleet": "edge"})["token"]
        with Node(folder, f"grpcs://127.0.0.1:{grpc}?rest={rest}", token) as node:
            put(person, port, one.address)
            person.ask(f"{W}/revisions", {"fleet": "edge"})
            until(lambda: serving(person) == 1, "the revision is serving", deadline_s=120)
            sessions = node.log.read_text().count('"master.connected"')
            assert added(person, "before") == http.client.OK

            mark.touch()
            told = {
                f"failing{number}": added(person, f"failing{number}") for number in range(TRIES)
            }
            assert set(told.values()) == {http.client.SERVICE_UNAVAILABLE}
            assert names(person) == {"app", "before"}, "reads are served, from what was flushed"
            assert get(port)[1] == b"one"
            assert person.agent()["state"] == "connected"
            mark.unlink()

            until(lambda: added(person, "after") == http.client.OK, "writes go on")
            kept = names(person)
            assert kept == {"app", "before", "after"}
            # What must not come cannot be waited for.
            count = node.log.read_text().count('"master.connected"')
            assert count == sessions, "a session came after the first"
            process.process.kill()
            process.process.wait()
            with master(folder / "m", *options, says="the master serves"):
                body = {"name": "ann", "password": PASSWORD}
                person.token = ""
                person.token = str(person.ask("/api/v1/auth/login", body)["access_token"])
                assert names(person) >= kept, "what was acknowledged is there"
    finally:
        running.__exit__(None, None, None)
