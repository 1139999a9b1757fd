"""A real nginx observed: its logs under rotation and hostile requests, its pages, its state."""

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from real_nginx import Client, RealNginx
from running_node import HEADGATE
from waiting import DEADLINE_S, until

from headgate.engines.nginx.apply.here import Here, remember
from headgate.engines.nginx.health.managed import Managed, managed
from headgate.engines.nginx.observe.fields import log_format
from headgate.engines.nginx.observe.hits import JsonLines, Parser
from headgate.engines.nginx.observe.log_format import COMBINED, LogFormat
from headgate.engines.nginx.observe.observer import AccessLog, Observer, Sources
from headgate.engines.nginx.observe.status import generation, stub_status

_FORMATS: "dict[str, tuple[str, Parser]]" = {
    "json": (log_format(), JsonLines()),
    "combined": (COMBINED, LogFormat(COMBINED)),
    "own": (
        '$status|$request|"$http_user_agent"|$request_time|$upstream_addr|$host',
        LogFormat('$status|$request|"$http_user_agent"|$request_time|$upstream_addr|$host'),
    ),
}
_VARIABLES = "".join(
    f'map $uri $hg_{name} {{ default "{value}"; }}\n'
    for name, value in (("route", "site"), ("upstream", "dead"), ("listener", "web"))
)


@pytest.fixture
def nginx(folder: Path) -> Iterator[RealNginx]:
    """Not started yet; workers may write its logs."""
    with RealNginx(folder, blind=True) as running:
        (folder / "logs").chmod(0o777)
        yield running


def _served(nginx: RealNginx, kind: str, dead: int) -> tuple[Path, Parser]:
    """Serves a site that logs in one of the formats; the log and its parser."""
    text, parser = _FORMATS[kind]
    log = nginx.root / "logs" / f"{kind}.log"
    escape = "escape=json " if kind == "json" else ""
    site = f"""
log_format {kind}_hg {escape}'{text}';
server {{
    listen 127.0.0.1:{nginx.port};
    access_log {log} {"combined" if kind == "combined" else f"{kind}_hg"};
    location / {{ return 200 "ok"; }}
    location /dead {{ proxy_pass http://127.0.0.1:{dead}; }}
}}
"""
    nginx.must_apply(site=site, http=_VARIABLES)
    return log, parser


def _raw(port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), DEADLINE_S) as link:
        link.sendall(request)
        answer = b""
        while part := link.recv(65536):
            answer += part
    return answer


def _until_counted(observer: Observer, count: int) -> None:
    def is_there() -> bool:
        observer.poll()
        return observer.traffic.total() + observer.traffic.unread >= count

    until(is_there, f"{count} requests in the log")


HOSTILE = (
    b'GET /"quoted" HTTP/1.1\r\nHost: a\r\nConnection: close\r\nUser-Agent: "x\\y" {}\r\n\r\n',
    b"GET /caf\xe9\xff?\x7f HTTP/1.1\r\nHost: a\r\nConnection: close\r\nUser-Agent: \xfe\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nUser-Agent: \xe2\x80\xa8\t\xf0\r\n\r\n",
    b"GET /" + b"x" * 6000 + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    b"PROPFIND / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"GET /\r\n",
    b"nonsense\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
)


@pytest.mark.parametrize("kind", _FORMATS)
def test_whatever_a_client_sends_is_one_request_in_the_counts(
    nginx: RealNginx, kind: str, dead: int
) -> None:
    log, parser = _served(nginx, kind, dead)
    observer = Observer(Sources([AccessLog(str(log), parser)]))
    observer.poll()
    for request in HOSTILE:
        _raw(nginx.port, request)
    _until_counted(observer, len(HOSTILE))
    assert observer.traffic.unread == 0, log.read_bytes()
    assert observer.traffic.total() == len(HOSTILE)
    if kind == "json":
        assert observer.traffic.routes["site"].requests == len(HOSTILE)


def _renamed(nginx: RealNginx, log: Path) -> None:
    log.rename(log.with_suffix(".1"))
    nginx.instance.signal("USR1")
    until(log.exists, "the new log")


def _copied(_: RealNginx, log: Path) -> None:
    shutil.copy(log, log.with_suffix(".1"))
    os.truncate(log, 0)


@pytest.mark.parametrize("rotate", [_renamed, _copied])
def test_a_rotation_under_load_costs_only_what_it_lost_itself(
    nginx: RealNginx, rotate: Callable[[RealNginx, Path], None], dead: int
) -> None:
    log, parser = _served(nginx, "json", dead)
    observer = Observer(Sources([AccessLog(str(log), parser)]), start="start")
    with Client(nginx.port, keep_alive=True) as client:
        for _ in range(3):
            aim = client.answers + 200
            until(lambda aim=aim: client.answers >= aim, "traffic")  # type: ignore[misc]
            observer.poll()
            rotate(nginx, log)
        aim = client.answers + 2  # one may have been logged before it
        until(lambda: client.answers >= aim, "traffic after the last rotation")
    assert client.lost == []
    if rotate is _renamed:
        _until_counted(observer, client.answers)
        assert observer.traffic.total() == client.answers
    else:
        # Lines between our look and the truncation are gone; that is what copytruncate does.
        until(lambda: os.stat(log).st_size > 0, "lines after the last rotation")  # noqa: PTH116
        observer.poll()
        assert 0 < observer.traffic.total() <= client.answers
        assert observer.losses.truncations >= 1
    assert observer.traffic.unread == 0


def test_a_dead_endpoint_is_counted_in_both_logs(nginx: RealNginx, dead: int) -> None:
    log, parser = _served(nginx, "json", dead)
    sources = Sources([AccessLog(str(log), parser)], [str(nginx.error_log)])
    observer = Observer(sources)
    observer.poll()
    _raw(nginx.port, b"GET /dead HTTP/1.0\r\n\r\n")
    _until_counted(observer, 1)
    (backend,) = observer.traffic.backends.values()
    assert (backend.requests, backend.failures, backend.connect_failures) == (1, 1, 1)
    assert observer.traffic.requests == {("GET", "502", "dead"): 1}
    until(lambda: bool(observer.poll() or observer.errors.kinds), "the error log's line")
    assert observer.errors.kinds["upstream_connect"] == 1


def test_the_pages_of_a_release_are_read(nginx: RealNginx) -> None:
    nginx.must_apply()
    path = f"{nginx.root}/run/status.sock"
    page = stub_status(f"unix:{path}:/stub_status", DEADLINE_S)
    assert page.accepts >= page.handled > 0
    running = generation(path, DEADLINE_S)
    assert running.generation == 1
    assert running.pid in {worker.pid for worker in nginx.instance.workers()}


def test_the_state_of_a_driven_nginx_is_seen_without_its_node(nginx: RealNginx) -> None:
    nginx.must_apply()
    remember(nginx.root, Here(nginx.place, nginx.settings(0.0)))
    state = _answering(nginx)
    assert (state.desired, state.on_disk, state.running) == (1, 1, (1,))
    assert (state.drift, state.problems) == (("in sync",), ())
    assert state.last_apply is not None
    assert state.last_apply.ended == "served"
    assert state.master is not None
    assert len(state.workers) == 2

    refused = nginx.must_refuse(http="nonsense;")
    assert refused.step == "test"
    state = _answering(nginx)
    assert state.drift == ("in sync",)
    assert state.last_apply is not None
    assert (state.last_apply.generation, state.last_apply.ended) == (2, "refused")

    current = nginx.store.linked("current")
    assert current is not None
    site = nginx.store.path(current) / "http/site.conf"
    site.chmod(0o644)
    site.write_text(site.read_text() + "# by hand\n")
    state = _answering(nginx)
    assert state.drift == ("disk drift",)
    assert f"releases/{current}/http/site.conf: edited" in state.edits

    shown = _status(nginx)
    assert shown.returncode == 1
    assert "http/site.conf: edited" in shown.stdout


def test_a_worker_that_waits_for_a_client_is_shown_as_draining(nginx: RealNginx) -> None:
    nginx.must_apply()
    remember(nginx.root, Here(nginx.place, nginx.settings(0.0)))
    with socket.create_connection(("127.0.0.1", nginx.port), 5) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nHost: site.example\r\n")  # its head has no end
        page = f"unix:{nginx.root}/run/status.sock:/stub_status"
        until(lambda: stub_status(page, DEADLINE_S).reading >= 1, "the slow client")
        nginx.must_apply()
        until(lambda: draining(nginx) == 1, "the end of the old worker without a client")
        state = _answering(nginx)
        assert (state.drift, state.running) == (("in sync",), (2,))
        shown = _status(nginx)
        assert shown.returncode == 0
        assert "2 workers, 1 draining" in shown.stdout


def _answering(nginx: RealNginx) -> Managed:
    """Its state as it is seen once a worker says what it runs: one that is held up says nothing."""
    found = managed(nginx.root)

    def is_told() -> bool:
        nonlocal found
        found = managed(nginx.root)
        return bool(found.running)

    until(is_told, "a worker's answer")
    return found


def draining(nginx: RealNginx) -> int:
    """How many workers drain, as its state is seen."""
    return [worker.draining for worker in managed(nginx.root).workers].count(True)


def _status(nginx: RealNginx) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [HEADGATE, "nginx", "status", "--root", nginx.root],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
