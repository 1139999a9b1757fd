"""The admin API over a node whose supervisor and data plane are played by the test."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import loops
import msgspec
import pytest
from asgi import ask
from cryptography import x509
from fake_service import FakeService
from scripted_source import ScriptedSource
from starlette.applications import Starlette
from tls_authority import Authority

from headgate.compile.settings import NodeSettings
from headgate.kernel.diagnostics import Diagnostic, Severity
from headgate.node.admin.app import admin_app, metrics_app
from headgate.node.link import DataPlane, SupervisorLink
from headgate.node.options import Options
from headgate.node.ports import Candidate, Rejected
from headgate.node.samples import parse
from headgate.node.serving.choice import make_serving
from headgate.node.state import Node
from headgate.plan.digest import blob_id
from headgate.plan.middleware import HeaderEdits, Middleware
from headgate.plan.objects import (
    Action,
    Certificate,
    ClientAuth,
    Endpoint,
    Listener,
    Route,
    TlsPolicy,
    Upstream,
    UpstreamTls,
)
from headgate.plan.plan import entry, plan_of

SETTINGS = NodeSettings(admin=(), metrics=(), state_dir=None, workers=None, log_level="info")
GOOD = Candidate(
    plan=plan_of([entry("upstream", "app", Upstream(endpoints=(Endpoint(address="a:1"),)))]),
    node=SETTINGS,
    blobs={},
    warnings=(),
    locate=lambda kind, name, path: Diagnostic(file="a.toml", message=""),
)
ROUTED = Candidate(
    plan=plan_of(
        [
            entry("listener", "web", Listener(addresses=("127.0.0.1:8000",), protocol="http")),
            entry("upstream", "app", Upstream(endpoints=(Endpoint(address="127.0.0.1:1"),))),
            entry(
                "route",
                "all",
                Route(hosts=("*",), listeners=("web",), action=Action(upstream="app")),
            ),
        ]
    ),
    node=SETTINGS,
    blobs={},
    warnings=(),
    locate=GOOD.locate,
)
BAD = Rejected((Diagnostic(file="a.toml", line=1, column=2, path="x", message="no"),))
Body = Callable[["Stage"], Awaitable[None]]


class Stage:
    """A node between a fake supervisor and a fake data plane."""

    def __init__(self, folder: Path, link: SupervisorLink, asked: list[str]) -> None:
        self.source = ScriptedSource(GOOD)
        self.asked = asked
        options = Options(state_dir=str(folder), admin=[])
        self.node = Node(options, self.source, link, make_serving(options, link))
        self.app: Starlette = admin_app(self.node)


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Body], None]:
    """Runs a test's body with a node that has not loaded anything yet."""
    return lambda body: loops.run(_play(tmp_path, body))


async def _play(folder: Path, body: Body) -> None:
    asked: list[str] = []
    about: dict[str, object] = {
        "dataplane": None,
        "listening": [],
        "workers": 2,
        "restarts": {"dataplane": 1, "control": 0},
        "phase": "running",
        "config_was_applied": True,
    }

    async def supervisor(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            request = json.loads(line)
            asked.append(request["op"])
            answer = {"id": request["id"], "ok": True, **about}
            writer.write(json.dumps(answer).encode() + b"\n")
        writer.close()

    door = await asyncio.start_unix_server(supervisor, str(folder / "supervisor.sock"))
    service = FakeService(1)
    await service.start(folder / "dp.sock")
    link = await SupervisorLink.connect(str(folder / "supervisor.sock"))
    stage = Stage(folder, link, asked)
    stage.node.serving.announced(DataPlane(1, 1, str(folder / "dp.sock")))
    task = asyncio.create_task(stage.node.pipeline.run())
    try:
        async with asyncio.timeout(20):
            await body(stage)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await stage.node.serving.close(ends=False)
        await link.close()
        await service.stop()
        door.close()


def test_a_node_is_ready_once_a_config_is_served(play: Callable[[Body], None]) -> None:
    async def body(stage: Stage) -> None:
        assert (await ask(stage.app, "GET", "/ready")).status == 503
        assert (await ask(stage.app, "POST", "/reload")).status == 200
        assert (await ask(stage.app, "GET", "/ready")).status == 200
        stage.node.is_draining = True
        reply = await ask(stage.app, "GET", "/ready")
        assert (reply.status, reply.body) == (503, b"draining\n")
        assert (await ask(stage.app, "GET", "/live")).status == 200

    play(body)


def test_a_refused_reload_is_422_with_the_diagnostics(play: Callable[[Body], None]) -> None:
    async def body(stage: Stage) -> None:
        await ask(stage.app, "POST", "/reload")
        stage.source.found = BAD
        reply = await ask(stage.app, "POST", "/reload")
        assert reply.status == 422
        assert json.loads(reply.body)["diagnostics"][0]["path"] == "x"
        status = json.loads((await ask(stage.app, "GET", "/status")).body)
        assert status["config"]["digest"] == GOOD.plan.digest.hex()
        assert status["config"]["last_reload"]["outcome"] == "refused"
        engine, digest = status["engine"], GOOD.plan.digest.hex()
        assert (engine["kind"], engine["digest"], engine["nginx"]) == ("native", digest, None)
        assert engine["last_apply"]["phase"] == "serving"
        assert engine["since"] == engine["last_apply"]["at"] > 0

    play(body)


def test_a_reload_without_a_data_plane_is_503(play: Callable[[Body], None]) -> None:
    async def body(stage: Stage) -> None:
        stage.node.serving.announced(DataPlane(2, 1, "/nonexistent.sock"))
        await stage.node.serving.close(ends=False)
        waiting = asyncio.create_task(ask(stage.app, "GET", "/health"))
        assert (await waiting).status == 503

    play(body)


def test_health_and_config_tell_what_is_served(play: Callable[[Body], None]) -> None:
    async def body(stage: Stage) -> None:
        assert (await ask(stage.app, "GET", "/config")).status == 503
        await ask(stage.app, "POST", "/reload")
        health = json.loads((await ask(stage.app, "GET", "/health")).body)
        assert health["status"] == "ok"
        document = json.loads((await ask(stage.app, "GET", "/config")).body)
        assert document["objects"][0]["value"] == {"endpoints": [{"address": "a:1"}]}

    play(body)


def test_secrets_are_not_in_the_config_that_is_shown(play: Callable[[Body], None]) -> None:
    async def body(stage: Stage) -> None:
        edits = HeaderEdits(set={"authorization": "hunter2", "x-plain": "seen"})
        plan = plan_of([entry("middleware", "key", Middleware(request_headers=edits))])
        stage.source.found = replace(GOOD, plan=plan, secrets=frozenset({"hunter2"}))
        assert (await ask(stage.app, "POST", "/reload")).status == 200
        shown = (await ask(stage.app, "GET", "/config")).body
        (found,) = json.loads(shown)["objects"]
        edited = found["value"]["request_headers"]["set"]
        assert edited == {"authorization": "(secret)", "x-plain": "seen"}
        for path in ("/status", "/events?follow=false", "/metrics"):
            assert b"hunter2" not in (await ask(stage.app, "GET", path)).body

    play(body)


def test_the_status_has_the_warnings_about_what_is_served(play: Callable[[Body], None]) -> None:
    async def body(stage: Stage) -> None:
        warning = Diagnostic(
            file="a.toml", line=2, message="hardly meant", severity=Severity.WARNING
        )
        stage.node.linter.look_at(replace(GOOD, lints=lambda: (warning,)))
        told: asyncio.Future[tuple[Diagnostic, ...]] = asyncio.get_running_loop().create_future()
        stage.node.linter.on_found = told.set_result
        task = asyncio.create_task(stage.node.linter.run())
        assert await told == (warning,)
        status = json.loads((await ask(stage.app, "GET", "/status")).body)
        assert status["config"]["warnings"][0]["message"] == "hardly meant"
        task.cancel()

    play(body)


def test_the_metrics_page_has_both_processes_and_an_end(play: Callable[[Body], None]) -> None:
    async def body(stage: Stage) -> None:
        await ask(stage.app, "POST", "/reload")
        reply = await ask(stage.app, "GET", "/metrics")
        assert reply.headers["content-type"].startswith("application/openmetrics-text")
        page = reply.body.decode()
        assert "http_requests_total 3\n" in page
        assert 'headgate_config_reloads_total{result="applied"} 1\n' in page
        assert "headgate_dataplane_restarts_total 1\n" in page
        assert page.endswith("# EOF\n")
        names = [line.split()[2] for line in page.splitlines() if line.startswith("# TYPE")]
        assert len(names) == len(set(names))

    play(body)


def test_the_metrics_page_is_classic_text_for_who_asks_for_that(
    play: Callable[[Body], None],
) -> None:
    async def body(stage: Stage) -> None:
        accept = {"accept": "text/plain;version=0.0.4;q=1,*/*;q=0.1"}
        reply = await ask(stage.app, "GET", "/metrics", headers=accept)
        assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        page = reply.body.decode()
        assert "# TYPE headgate_config_reloads_total counter\n" in page
        assert "# TYPE headgate_build_info gauge\n" in page
        assert "# EOF" not in page
        assert "# UNIT" not in page
        samples = [line for line in page.splitlines() if not line.startswith("#")]
        whole = (await ask(stage.app, "GET", "/metrics")).body.decode().splitlines()
        kept = ("headgate_control", "http_")
        assert [s for s in samples if not s.startswith(kept)] == [
            s for s in whole if not s.startswith(("#", *kept))
        ]

    play(body)


def test_the_days_until_each_certificate_ends_are_metrics(
    play: Callable[[Body], None], tmp_path: Path
) -> None:
    pairs = {
        name: Authority(tmp_path).issue(name, f"{name}.example", days=days).cert_file.read_bytes()
        for name, days in (("soon", 3), ("gone", -2))
    }
    blobs = {blob_id(pem): pem for pem in pairs.values()}
    named = [
        entry("certificate", name, Certificate(cert=blob_id(pem), key=blob_id(pem)))
        for name, pem in pairs.items()
    ]
    objects = list(GOOD.plan.objects.values()) + named

    async def body(stage: Stage) -> None:
        stage.source.found = replace(GOOD, plan=plan_of(objects), blobs=blobs)
        assert (await ask(stage.app, "POST", "/reload")).status == 200
        page = parse((await ask(stage.app, "GET", "/metrics")).body.decode())
        days = {
            line.labels["certificate"]: line.value
            for line in page.lines
            if line.name == "headgate_certificate_expiry_days"
        }
        assert days.keys() == {"soon", "gone"}
        assert 2.5 < days["soon"] < 3.5
        assert -2.5 < days["gone"] < -1.5

    play(body)


def test_the_days_until_roots_and_revocation_lists_end_are_metrics(
    play: Callable[[Body], None], tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    roots, soonest = authority.ca_file.read_bytes(), authority.revocations(days=5).read_bytes()
    lists = authority.revocations().read_bytes() + soonest
    short = authority.issue("short", "short.example", days=3).cert_file.read_bytes()
    auth = ClientAuth(ca=blob_id(short + roots), crl=blob_id(lists))
    tls = UpstreamTls(ca=blob_id(short))
    added = [
        entry("tls_policy", "partners", TlsPolicy(client_auth=auth)),
        entry("upstream", "far", Upstream(endpoints=(), tls=tls)),
    ]
    blobs = {blob_id(pem): pem for pem in (short + roots, lists, short)}
    objects = list(GOOD.plan.objects.values()) + added
    last = x509.load_pem_x509_certificate(roots).not_valid_after_utc.timestamp()
    update = x509.load_pem_x509_crl(soonest).next_update_utc
    assert update is not None

    async def body(stage: Stage) -> None:
        stage.source.found = replace(GOOD, plan=plan_of(objects), blobs=blobs)
        assert (await ask(stage.app, "POST", "/reload")).status == 200
        page = parse((await ask(stage.app, "GET", "/metrics")).body.decode())
        told = {(one.name, *one.labels.values()): one.value for one in page.lines}
        end = "headgate_certificate_not_after_timestamp_seconds"
        assert told[end, "tls_policies.partners.client_auth.ca_file"] == last
        assert 2.5 < told["headgate_certificate_expiry_days", "upstreams.far.tls.ca_file"] < 3.5
        at = "tls_policies.partners.client_auth.crl_file"
        due = "headgate_revocation_list_next_update_timestamp_seconds"
        assert told[due, at] == update.timestamp()
        assert told["headgate_revocation_list_expiry_days", at] > 0

    play(body)


def test_drain_is_passed_to_the_supervisor(play: Callable[[Body], None]) -> None:
    async def body(stage: Stage) -> None:
        assert (await ask(stage.app, "POST", "/drain")).status == 202
        assert stage.asked[-1] == "drain"

    play(body)


def test_a_request_is_explained_with_the_states_of_its_endpoints(
    play: Callable[[Body], None],
) -> None:
    async def body(stage: Stage) -> None:
        question = b'{"url":"http://a.example:8000/x"}'
        assert (await ask(stage.app, "POST", "/explain", question)).status == 503
        stage.source.found = ROUTED
        await ask(stage.app, "POST", "/reload")
        reply = await ask(stage.app, "POST", "/explain", question)
        assert reply.status == 200, reply.body
        won = json.loads(reply.body)["won"]
        assert won["route"] == "all"
        assert won["upstreams"][0]["endpoints"][0]["state"] == "up"
        for wrong in (b"", b"{}", b'{"url":"nonsense"}', b'{"url":"http://a/","client":"x"}'):
            assert (await ask(stage.app, "POST", "/explain", wrong)).status == 400
        assert (await ask(stage.app, "POST", "/explain", b"x" * 300_000)).status == 413

    play(body)


def test_events_come_as_lines_or_as_server_sent_events(play: Callable[[Body], None]) -> None:
    async def body(stage: Stage) -> None:
        stage.node.events.add("info", "config.applied", "done", digest="ab")
        reply = await ask(stage.app, "GET", "/events?follow=false")
        event = msgspec.json.decode(reply.body)
        assert event["kind"] == "config.applied"
        wanted = {"accept": "text/event-stream"}
        reply = await ask(stage.app, "GET", "/events?follow=false", headers=wanted)
        assert reply.headers["content-type"].startswith("text/event-stream")
        assert reply.body.startswith(b"id: %d\ndata: {" % event["seq"])

    play(body)


def test_events_go_on_after_a_number(play: Callable[[Body], None]) -> None:
    async def body(stage: Stage) -> None:
        for message in ("one", "two", "three"):
            stage.node.events.add("info", "test", message)
        first = json.loads((await ask(stage.app, "GET", "/events?follow=false")).body.split()[0])
        after = f"/events?follow=false&after={first['seq']}"
        reply = await ask(stage.app, "GET", after)
        messages = [json.loads(line)["message"] for line in reply.body.splitlines()]
        assert messages == ["two", "three"]
        wanted = {"accept": "text/event-stream", "last-event-id": str(first["seq"] + 1)}
        reply = await ask(stage.app, "GET", "/events?follow=false", headers=wanted)
        assert reply.body.count(b"data: ") == 1
        for wrong in ("x", "-1", "", "9" * 19):
            reply = await ask(stage.app, "GET", f"/events?follow=false&after={wrong}")
            assert reply.status == 400
            assert b"is not the number of an event" in reply.body

    play(body)


def test_the_metrics_address_changes_nothing(play: Callable[[Body], None]) -> None:
    async def body(stage: Stage) -> None:
        app = metrics_app(stage.node)
        assert (await ask(app, "GET", "/metrics")).status == 200
        for method, path in [("POST", "/reload"), ("POST", "/drain"), ("GET", "/config")]:
            assert (await ask(app, method, path)).status == 404

    play(body)
