"""What a process may do, read from /proc, and what is warned of."""

import doctest
import os
from pathlib import Path

import pytest

from headgate.compile.settings import NginxSettings
from headgate.engines.nginx.instance import bubblewrap
from headgate.node import nginx_rights, rights
from headgate.node.rights import ProcessRights, warnings

STATUS = """\
Name:\theadgate-dp
Uid:\t0\t{uid}\t0\t0
CapPrm:\t{effective:016x}
NoNewPrivs:\t1
Seccomp:\t{seccomp}
"""


def test_examples_in_docstrings_hold() -> None:
    assert doctest.testmod(rights).failed == 0


def test_rights_are_those_in_effect(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    text = STATUS.format(uid=4_000_000_000, effective=1 << 10 | 1 << 63, seccomp=2)
    (tmp_path / "7/status").write_text(text)
    found = rights.rights("dataplane", 7, tmp_path)
    held = ["net_bind_service", "cap_63"]
    assert found == ProcessRights("dataplane", 7, "4000000000", held, True, True)


@pytest.mark.parametrize("text", ["", "Uid:\tx\ty\n", "CapPrm:\t0\n"])
def test_what_cannot_be_read_is_not_made_up(tmp_path: Path, text: str) -> None:
    assert rights.rights("control", 7, tmp_path) is None
    (tmp_path / "7").mkdir()
    (tmp_path / "7/status").write_text(text)
    assert rights.rights("control", 7, tmp_path) is None


def of(
    process: str,
    *held: str,
    user: str = "headgate",
    no_new_privs: bool = True,
    seccomp: bool = False,
) -> ProcessRights:
    return ProcessRights(process, 1, user, list(held), no_new_privs, seccomp)


def test_a_node_that_has_given_up_everything_is_not_warned_of() -> None:
    kept = ("dac_read_search", "net_bind_service")
    found = [of("supervisor", *kept), of("control", *kept), of("dataplane", seccomp=True)]
    assert warnings(found, root_is_meant=False) == []


def test_root_is_warned_of_unless_it_is_meant() -> None:
    found = [of("supervisor", user="root")]
    (warning,) = warnings(found, root_is_meant=False)
    assert "runs as root" in warning
    assert warnings(found, root_is_meant=True) == []


def test_each_right_that_is_left_is_warned_of() -> None:
    found = [of("control", "sys_admin", no_new_privs=False), of("dataplane", "net_bind_service")]
    assert warnings(found, root_is_meant=False) == [
        "the control process keeps capabilities: sys_admin",
        "the control process may gain rights (NoNewPrivs is not set)",
        "the dataplane process keeps capabilities: net_bind_service",
        "the dataplane process has no filter of system calls (seccomp)",
    ]


def test_a_node_that_drives_nginx_is_warned_of_what_driving_does_not_take() -> None:
    own = nginx_rights.NGINX
    found = [of("supervisor", *own, "setpcap", "sys_admin", user="root"), of("nginx", *own)]
    assert nginx_rights.warnings(found) == []
    found = [of("control", "sys_module", user="root"), of("nginx", "sys_admin", no_new_privs=False)]
    assert nginx_rights.warnings(found) == [
        "the control process keeps capabilities: sys_module",
        "the nginx process keeps capabilities: sys_admin",
        "the nginx process may gain rights (NoNewPrivs is not set)",
    ]


@pytest.mark.parametrize(
    ("settings", "uid", "has_bubblewrap", "more"),
    [
        (NginxSettings(), 0, True, {"setpcap", "sys_admin", "net_admin"}),
        (NginxSettings(), 0, False, {"setpcap"}),
        (NginxSettings(), 33, True, set()),
        (NginxSettings(start="systemd"), 33, True, {"sys_ptrace", "sys_chroot"}),
        (NginxSettings(mode="guest"), 0, False, {"setpcap", "sys_ptrace", "sys_chroot"}),
    ],
)
def test_a_node_keeps_what_its_nginx_and_its_tests_take(
    settings: NginxSettings,
    uid: int,
    has_bubblewrap: bool,
    more: set[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    monkeypatch.setattr(bubblewrap, "found", lambda: "/bwrap" if has_bubblewrap else None)
    assert nginx_rights.kept_for(settings) == nginx_rights.NGINX | more
    assert "sys_module" not in nginx_rights.kept_by_agent()
