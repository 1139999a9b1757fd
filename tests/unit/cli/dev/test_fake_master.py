"""`headgate dev fake-master`: how it starts and ends, as a process."""

import signal
import subprocess
from pathlib import Path

import pytest
from fake_master_process import CONFIG, HEADGATE, fake_master
from ports import dead_port
from waiting import DEADLINE_S

from headgate.master.dev.joining import Rest

_SPARE = 256
"""The files that a master opens beside its connections."""


def _refused(*words: str, files: int = 1024) -> tuple[int, str]:
    """Returns how a master that does not start ends, and what it says."""
    shell = ["sh", "-c", f'ulimit -n {files}; exec "$@"', "sh"]
    command = [*shell, HEADGATE, "dev", "fake-master", *words]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEADLINE_S)
    assert ran.stdout == ""
    return ran.returncode, ran.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_listens_and_serves_until_a_signal(
    tmp_path: Path, number: signal.Signals
) -> None:
    with fake_master(tmp_path, ends_by=number) as told:
        assert 0 not in {int(one.rpartition(":")[2]) for one in (told.rest, told.grpc)}
        assert Rest(told.rest, told.pin).enrol(told.token).certificate_pem


def test_it_ends_with_an_error_where_nobody_hears_its_ports(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(CONFIG)
    command = [HEADGATE, "dev", "fake-master", str(tmp_path), "--rest-port=0", "--grpc-port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout
        process.stdout.close()
        try:
            assert process.wait(DEADLINE_S) > 0
        finally:
            process.kill()


def test_a_config_that_is_none_is_a_bad_config(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("[node]\n")
    code, said = _refused(str(tmp_path))
    assert code == 78
    assert said.startswith("headgate: ")
    assert "no kind of resource" in said


def test_a_port_that_is_taken_and_too_few_files_are_failures(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(CONFIG)
    with dead_port() as port:
        code, said = _refused(str(tmp_path), f"--rest-port={port}")
    assert (code, said.count("\n")) == (1, 1)
    assert "in use" in said
    code, said = _refused(str(tmp_path), "--rest-port=0", "--grpc-port=0", files=_SPARE - 1)
    assert (code, said.count("\n")) == (1, 1)
    assert f"0 connections need {_SPARE} open files, and the limit is {_SPARE - 1}" in said
