"""The engine of a node in `headgate status`."""

import msgspec
import pytest

from headgate.cli.engine_lines import engine_lines
from headgate.engines.status import (
    CertificateStatus,
    EngineStatus,
    LastApply,
    LimitStoreStatus,
    NativeStatus,
    NginxStatus,
    WorkerStatus,
)

ABOUT = NginxStatus(
    root="/s/nginx", mode="full", draining=1, desired=3, on_disk=3, running=3, boot_safe=True
)
NGINX = EngineStatus(
    kind="nginx",
    state="serving",
    version="nginx/1.22.1",
    pid=7,
    workers=2,
    digest="ab" * 32,
    drift="in sync",
    nginx=ABOUT,
)
PLANE = NativeStatus(3, [WorkerStatus(0, 4, 9, 0), WorkerStatus(1, 1, 2, 0)], [])
NATIVE = EngineStatus(
    kind="native",
    state="serving",
    version="0.1.0",
    pid=7,
    workers=2,
    digest="ab" * 32,
    native=PLANE,
)


def text(one: EngineStatus = NGINX, **changed: object) -> str:
    return "\n".join(engine_lines(msgspec.structs.replace(one, **changed)))


def about(**changed: object) -> str:
    return text(nginx=msgspec.structs.replace(ABOUT, **changed))


@pytest.mark.parametrize("one", [NATIVE, NGINX])
def test_both_engines_say_the_same_things_in_the_same_words(one: EngineStatus) -> None:
    last = LastApply(0.0, "serving", "ab" * 32, "", 0.25, 1.5)
    shown = text(one, since=1.0, last_apply=last)
    name = {"native": "native 0.1.0", "nginx": "nginx/1.22.1"}[one.kind]
    assert f"engine      {name}, serving, pid 7, 2 workers\n" in shown
    assert "serves      abababababab since 1970-01-01T00:00:01Z\n" in shown
    assert (
        "last apply  serving abababababab at never, applied after 0.25 s, serving after 1.50 s"
        in shown
    )
    failed = LastApply(1.0, "rolled-back", "cd" * 32, "port held")
    shown = text(one, last_apply=failed)
    assert "last apply  FAILED, rolled-back cdcdcdcdcdcd at 1970" in shown
    assert "Z: port held" in shown
    assert "serves" not in shown
    assert "last apply  none since the control process began" in text(one)
    shown = text(one, state="degraded", why="no worker answers")
    assert "DEGRADED: no worker answers, pid 7" in shown
    assert "down: gone" in text(one, state="down", why="gone", pid=None).splitlines()[0]


def test_a_driven_nginx_says_what_runs_and_what_should() -> None:
    shown = text()
    assert "nginx       mode full, started by the node, 1 workers draining" in shown
    assert "generation  desired 3, on disk 3, running 3" in shown
    assert "drift       in sync" in shown
    assert "drift       not looked at yet" in text(drift=None)
    assert "boot safe   yes" in shown
    assert "hold" not in shown
    assert "next apply" not in shown
    assert "next apply  in 41.5 s: a change waits for its turn" in about(waits_s=41.5)


def test_what_needs_somebody_stands_out() -> None:
    shown = about(running=None, hold="held 30 min", boot_safe=False, start="systemd")
    assert "started by systemd" in shown
    assert "running none" in shown
    assert "hold        held 30 min" in shown
    assert "boot safe   NO: put `headgate nginx guard` into its unit" in shown


def test_an_nginx_warns_of_what_its_node_found() -> None:
    assert "warning" not in text()
    assert "warning     its binary was replaced" in about(warning="its binary was replaced")


def test_of_a_watched_nginx_nothing_is_said_about_applies() -> None:
    one = CertificateStatus("/c.pem", ("a.example",), 86_400.0, ("expired: it is over",))
    shown = about(
        mode="observe", boot_safe=None, start="external", conf="/c", restarts=2, certificates=(one,)
    )
    assert "mode observe, started by others, restarted by others 2 times" in shown
    assert "conf        /c" in shown
    assert "certificate /c.pem  ends 1970-01-02  a.example" in shown
    assert "expired: it is over" in shown
    for word in ("generation", "boot safe", "last apply"):
        assert word not in shown


def test_changes_of_endpoints_without_a_reload_are_counted_where_there_are_any() -> None:
    assert "endpoints" not in text()
    assert "endpoints   3 changes without a reload" in about(endpoint_updates=3)
    shown = about(endpoint_error="nginx does not answer")
    assert "0 changes without a reload; the last one took a reload: nginx does not answer" in shown


def test_a_data_plane_says_what_it_carries_and_what_fails() -> None:
    shown = text(NATIVE)
    assert "data plane  generation 3, 5 connections, 11 requests" in shown
    assert "drift" not in shown
    bad = NativeStatus(
        3, [], [], "strained", "memory", "failing", "failing", LimitStoreStatus(False, 1, "away")
    )
    shown = text(NATIVE, native=bad)
    assert ", strained (memory), traces failing, access log export failing, limit store" in shown
    assert "away since 1970-01-01T00:00:01Z: away" in shown
