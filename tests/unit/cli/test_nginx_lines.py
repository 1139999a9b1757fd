"""The nginx of a node in `headgate status`."""

import msgspec

from headgate.cli.nginx_lines import nginx_lines
from headgate.engines.nginx.common.status import CertificateStatus, LastApply, NginxStatus

FULL = NginxStatus(
    root="/s/nginx",
    mode="full",
    version="nginx/1.22.1",
    pid=7,
    workers=2,
    draining=1,
    desired=3,
    on_disk=3,
    running=3,
    state="in sync",
    boot_safe=True,
    degraded=False,
)


def text(**changed: object) -> str:
    return "\n".join(nginx_lines(msgspec.structs.replace(FULL, **changed)))


def test_a_driven_nginx_says_what_runs_and_what_should() -> None:
    shown = text()
    assert "nginx       nginx/1.22.1, mode full, started by the node, pid 7" in shown
    assert "workers     2, 1 draining" in shown
    assert "generation  desired 3, on disk 3, running 3" in shown
    assert "drift       in sync" in shown
    assert "boot safe   yes" in shown
    assert "last apply  none since the control process began" in shown
    assert "hold" not in shown
    assert "next apply" not in shown
    assert "next apply  in 41.5 s: a change waits for its turn" in text(waits_s=41.5)


def test_what_needs_somebody_stands_out() -> None:
    shown = text(
        pid=None, running=None, degraded=True, hold="held 30 min", boot_safe=False, start="systemd"
    )
    assert "started by systemd, NOT RUNNING" in shown
    assert "running none, DEGRADED" in shown
    assert "hold        held 30 min" in shown
    assert "boot safe   NO: put `headgate nginx guard` into its unit" in shown


def test_an_apply_that_failed_says_why() -> None:
    last = LastApply(at=0.0, ok=False, generation=4, text="port held")
    assert ": port held" in text(last_apply=last)
    assert "last apply  FAILED at" in text(last_apply=last)


def test_of_a_watched_nginx_nothing_is_said_about_applies() -> None:
    one = CertificateStatus("/c.pem", ("a.example",), 86_400.0, ("expired: it is over",))
    shown = text(
        mode="observe", boot_safe=None, start="external", conf="/c", restarts=2, certificates=(one,)
    )
    assert "mode observe, started by others, pid 7, restarted by others 2 times" in shown
    assert "conf        /c" in shown
    assert "certificate /c.pem  ends 1970-01-02  a.example" in shown
    assert "expired: it is over" in shown
    for word in ("generation", "boot safe", "last apply"):
        assert word not in shown


def test_changes_of_endpoints_without_a_reload_are_counted_where_there_are_any() -> None:
    assert "endpoints" not in text()
    assert "endpoints   3 changes without a reload" in text(endpoint_updates=3)
    shown = text(endpoint_error="nginx does not answer")
    assert "0 changes without a reload; the last one took a reload: nginx does not answer" in shown
