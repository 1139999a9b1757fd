"""`boot_safe`: known from who starts nginx, or from a guard that ran before it."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import cast

import pytest
from waiting import DEADLINE_S

from headgate.engines.nginx.apply import bootsafe
from headgate.engines.nginx.apply.bootsafe import BootSafe, DiskTests, boot_safe, with_disk
from headgate.engines.nginx.apply.guard import MARK, boot_id
from headgate.engines.nginx.common import types
from headgate.engines.nginx.common.types import Instance, Process

TICKS = os.sysconf("SC_CLK_TCK")


def now_started() -> Process:
    """A master that was started now."""
    up = float(Path("/proc/uptime").read_text().split()[0])
    return Process(1, int(up * TICKS))


def mark(root: Path, at: float, boot: str | None = None) -> None:
    (root / MARK).write_text(json.dumps({"at": at, "boot": boot_id() if boot is None else boot}))


def test_what_we_start_ourselves_is_safe(tmp_path: Path) -> None:
    assert boot_safe(tmp_path, None, None, we_start_it=True).is_safe


def test_without_a_guard_it_is_not_and_says_where_it_belongs(tmp_path: Path) -> None:
    found = boot_safe(tmp_path, now_started(), "nginx.service", we_start_it=False)
    assert not found.is_safe
    assert "ExecStartPre of nginx.service" in found.why


def test_a_guard_in_the_unit_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "systemctl"
    tool.write_text(
        '#!/bin/sh\necho "{ path=/usr/bin/headgate ; argv[]=headgate nginx guard ; }"\n'
    )
    tool.chmod(0o755)
    monkeypatch.setattr(bootsafe, "_SYSTEMCTL_S", DEADLINE_S)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert boot_safe(tmp_path, None, "nginx.service", we_start_it=False).is_safe


@pytest.mark.parametrize("fault", [OSError("no"), subprocess.TimeoutExpired("systemctl", 5.0)])
def test_a_unit_that_cannot_be_asked_for_has_no_guard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    def run(*_: object, **__: object) -> None:
        raise fault

    monkeypatch.setattr(subprocess, "run", run)
    for tool in ("/bin/systemctl", None):
        monkeypatch.setattr(shutil, "which", lambda _, tool=tool: tool)
        assert not boot_safe(tmp_path, None, "nginx.service", we_start_it=False).is_safe


def test_what_is_safe_is_so_only_if_the_disk_is_enough() -> None:
    safe, unsafe = BootSafe(True, "we start it"), BootSafe(False, "no guard")
    assert with_disk(safe, lambda: "") == safe
    assert with_disk(safe, lambda: "a name is looked up") == BootSafe(False, "a name is looked up")

    def unasked() -> str:
        raise AssertionError("nothing would be gained by the test")

    assert with_disk(unsafe, unasked) == unsafe


@pytest.mark.parametrize(
    ("started_s", "ago_s", "boot", "is_safe"),
    [
        (1.0, 1.0, None, True),
        (1.0, 58.0, None, True),
        (1.0, 58.5, None, False),
        (1.0, -2.0, None, True),
        (1.0, -2.5, None, False),
        (1.0, 1.0, "x", False),
        (5.0, 1.0, None, True),
        (5.5, 1.0, None, False),
    ],
)
def test_a_guard_that_ran_before_this_master_in_this_boot(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    started_s: float,
    ago_s: float,
    boot: str | None,
    is_safe: bool,
) -> None:
    """The host has been up for 5 s: a master that was started later is of another boot."""
    read = Path.read_text

    def up(self: Path) -> str:
        return "5.00 5.00\n" if str(self) == "/proc/uptime" else read(self)

    mark(tmp_path, 1_000.0 + started_s - ago_s, boot)
    monkeypatch.setattr(Path, "read_text", up)
    monkeypatch.setattr(bootsafe, "boot_time", lambda: 1_000.0)
    master = Process(1, int(started_s * TICKS))
    assert boot_safe(tmp_path, master, None, we_start_it=False).is_safe == is_safe


def test_a_guard_that_ran_now_is_found_by_the_clocks_of_this_host(tmp_path: Path) -> None:
    mark(tmp_path, time.time() - 1.0)
    assert boot_safe(tmp_path, now_started(), None, we_start_it=False).is_safe


def test_a_mark_that_cannot_be_read_proves_nothing(tmp_path: Path) -> None:
    (tmp_path / MARK).write_text("{")
    assert not boot_safe(tmp_path, now_started(), None, we_start_it=False).is_safe
    assert bootsafe.boot_safe(tmp_path, None, None, we_start_it=False).is_safe is False


class Counting:
    """An instance that counts how often it tests."""

    def __init__(self) -> None:
        self.asked = 0
        self.is_ok = True

    def test(self, conf: str, *, from_disk: bool = False) -> types.Tested:
        del conf
        assert from_disk
        self.asked += 1
        return types.Tested(self.is_ok, () if self.is_ok else ("no",))


def test_a_release_is_tested_again_when_a_file_that_it_reads_changes(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    conf, theirs = tmp_path / "nginx.conf", tmp_path / "conf.d/theirs.conf"
    pem, log = tmp_path / "their.pem", tmp_path / "access.log"
    conf.write_text("events {} http { include conf.d/*.conf; access_log access.log; }")
    theirs.write_text(f"server {{ ssl_certificate {pem}; ssl_password_file none; }}")
    pem.write_text("a")
    log.write_text("")
    nginx = Counting()
    tests = DiskTests(cast("Instance", nginx))

    def asked() -> int:
        assert tests.problem("1-a", str(conf)) == ("" if nginx.is_ok else nginx_problem)
        return nginx.asked

    nginx_problem = "1-a would not start without a network: no"
    assert (asked(), asked()) == (1, 1)
    log.write_text("a line")
    assert asked() == 1
    pem.write_text("ab")
    assert (asked(), asked()) == (2, 2)
    (tmp_path / "none").write_text("")
    assert asked() == 3
    (tmp_path / "conf.d/more.conf").write_text("")
    assert asked() == 4
    theirs.unlink()
    nginx.is_ok = False
    assert (asked(), asked()) == (5, 6)
    nginx.is_ok = True
    conf.write_text("events {}")
    assert (asked(), asked()) == (7, 7)


def test_a_release_that_cannot_be_tested_is_not_safe_and_is_tested_again(tmp_path: Path) -> None:
    (tmp_path / "nginx.conf").write_text("events {}")
    conf = str(tmp_path / "nginx.conf")

    class Gone(Counting):
        def test(self, conf: str, *, from_disk: bool = False) -> types.Tested:
            if self.is_ok:
                return super().test(conf, from_disk=from_disk)
            raise LookupError("there is no nginx")

    nginx = Gone()
    nginx.is_ok = False
    tests = DiskTests(cast("Instance", nginx))
    assert tests.problem(None, conf) == "no release is proven yet"
    why = "whether 1-a starts without a network cannot be tested: there is no nginx"
    assert tests.problem("1-a", conf) == why
    nginx.is_ok = True
    assert tests.problem("1-a", conf) == ""
