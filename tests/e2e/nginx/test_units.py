"""The systemd units: understood by systemd, and found by us through it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from nginx_alive import AliveNginx
from peers import unavailable

from headgate.engines.nginx.instance import NginxInstance, NotStartedError, Place

UNITS = Path(__file__).resolve().parents[3] / "deploy" / "systemd"
STOCK = Path("/lib/systemd/system/nginx.service")


@pytest.mark.parametrize("unit", ["nginx.service", "headgate.service"])
def test_systemd_understands_the_units_with_their_drop_ins(folder: Path, unit: str) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None or not STOCK.exists():
        unavailable("systemd-analyze or the nginx package's unit is missing")
    shutil.copytree(UNITS, folder / "units")
    shutil.copy(STOCK, folder / "units" / "nginx.service")
    done = subprocess.run(
        [analyze, "verify", str(folder / "units" / unit)],
        capture_output=True,
        text=True,
        env=os.environ | {"SYSTEMD_UNIT_PATH": f"{folder}/units:"},
        check=False,
    )
    said = [line for line in done.stderr.splitlines() if unit in line]
    absent = "/opt/headgate/bin/headgate is not executable"
    assert [line for line in said if absent not in line] == []


def fake_systemctl(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Path:
    """A systemctl that does what a script says, first on the path; what it was asked is kept."""
    bin_folder = folder / "bin"
    bin_folder.mkdir()
    systemctl = bin_folder / "systemctl"
    systemctl.write_text(f'#!/bin/sh\necho "$@" >> {folder}/asked\n{script}\n')
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_folder}:{os.environ['PATH']}")
    return folder / "asked"


def test_the_master_is_the_units_main_pid(
    alive: AliveNginx, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    master = alive.instance.master()
    assert master is not None
    asked = fake_systemctl(folder, monkeypatch, f"echo {master.pid}")
    place = Place(conf=str(alive.conf), unit="nginx.service")
    assert NginxInstance(place).master() == master
    assert asked.read_text() == "show --property=MainPID --value -- nginx.service\n"


def test_a_unit_is_started_through_systemd_and_its_words_are_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = fake_systemctl(folder, monkeypatch, "echo Unit nginx.service not found. >&2; exit 5")
    place = Place(conf="/nowhere/nginx.conf", unit="nginx.service")
    with pytest.raises(NotStartedError, match=r"ended with 5: Unit nginx\.service not found"):
        NginxInstance(place).start()
    assert asked.read_text() == "start -- nginx.service\n"
