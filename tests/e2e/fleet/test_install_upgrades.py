"""`deploy/install.sh --upgrades` and its two scripts: who asks, who installs, and what passes
between them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from peers import peer
from stand_in_wheel import ROOT, write_wheel
from waiting import until

DEPLOY = ROOT / "deploy"
_STUB = """#!/bin/sh
echo "pip: $*"
exit $(cat "$(dirname "$0")/code")
"""


class Host:
    """The scripts between folders of a test; `pip` is a stand-in."""

    def __init__(self, folder: Path) -> None:
        self.ask, self.answer = folder / "upgrade", folder / "answer"
        self.program, self.wheels = folder / "program", folder / "wheels"
        (self.program / "bin").mkdir(parents=True)
        python = self.program / "bin" / "python"
        python.write_text(_STUB)
        python.chmod(0o755)
        self.fails_with(0)
        # Without uv, which would be used in place of pip.
        self.env = {"PATH": "/usr/bin:/bin"}

    def fails_with(self, code: int) -> None:
        (self.program / "bin" / "code").write_text(f"{code}\n")

    def asks(self, version: str, wait_s: int = 60) -> "subprocess.Popen[str]":
        """The agent's command, which waits for its answer."""
        paths = {"HEADGATE_UPGRADE_ASK": str(self.ask), "HEADGATE_UPGRADE_ANSWER": str(self.answer)}
        return subprocess.Popen(
            ["/bin/sh", DEPLOY / "upgrade" / "request-upgrade", version],
            env=self.env | paths | {"HEADGATE_UPGRADE_WAIT_S": str(wait_s)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def carries_out(self) -> str:
        """What the service does once; what it says."""
        arguments = [self.ask, self.answer, self.program, self.wheels]
        done = subprocess.run(
            ["/bin/sh", DEPLOY / "upgrade" / "carry-out-upgrade", *arguments],
            env=self.env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.stdout + done.stderr

    def upgraded(self, version: str) -> tuple[int, str]:
        """Asks and is answered: the exit code of the command, and what it wrote."""
        asking = self.asks(version)
        until(self.ask.exists, "the request")
        said = self.carries_out()
        assert version not in said
        output, _ = asking.communicate(timeout=60)
        self.ask.unlink()
        return asking.returncode, output


@pytest.fixture
def host(folder: Path) -> Host:
    return Host(folder)


def test_what_the_agent_asks_for_is_installed_from_the_wheels_alone(host: Host) -> None:
    code, said = host.upgraded("1.5.0rc1")
    assert code == 0
    assert (
        said.split()
        == (
            "pip: -m pip install --quiet --disable-pip-version-check --no-cache-dir --no-index"
            f" --find-links {host.wheels} --only-binary :all: headgate==1.5.0rc1"
        ).split()
    )
    assert not host.answer.with_suffix(".log").exists()


def test_a_failure_comes_back_with_its_code_and_what_was_written(host: Host) -> None:
    host.fails_with(3)
    code, said = host.upgraded("1.4.2")
    assert (code, "headgate==1.4.2" in said) == (3, True)


@pytest.mark.parametrize("text", ["--help", "1.4.2;reboot", "$(id)", "1" * 65, "../../x", "v1"])
def test_what_is_not_a_version_reaches_no_command(host: Host, text: str) -> None:
    code, said = host.upgraded(text)
    assert code == 2
    assert said == "what was asked for is not a version; write one such as 1.4.2\n"


@pytest.mark.parametrize("text", ["", "1.4.2", "1.4.2 x", "1.4.2 7 ../../etc", "1.4.2\n7"])
def test_what_is_not_a_request_is_not_answered(host: Host, text: str) -> None:
    host.ask.write_text(text)
    said = host.carries_out()
    assert (said, host.answer.exists()) == (
        "carry-out-upgrade: the request has no number\n",
        False,
    )


def test_a_link_of_the_agents_shows_nobody_what_it_leads_to(host: Host, folder: Path) -> None:
    (folder / "secret").write_text("1.4.2 7\n")
    host.ask.symlink_to(folder / "secret")
    assert (host.carries_out(), host.answer.exists()) == ("", False)


def test_a_request_is_carried_out_once(host: Host) -> None:
    host.ask.write_text("1.4.2 7\n")
    assert "exit code 0" in host.carries_out()
    host.fails_with(9)
    assert host.carries_out() == ""
    assert host.answer.read_text().startswith("7 0\n")


def test_a_service_that_does_not_answer_is_a_failure(host: Host) -> None:
    host.answer.write_text("1-1 0\n")  # of another request
    asking = host.asks("1.4.2", wait_s=1)
    said, _ = asking.communicate(timeout=60)
    assert (asking.returncode, "did not answer within 1 s" in said) == (1, True)


@pytest.mark.timeout(900)
def test_the_units_are_installed_and_good(folder: Path) -> None:
    root = folder / "r"
    given = {"HEADGATE_MASTER_URL": "https://master.example", "HEADGATE_AGENT_TOKEN": "t"}
    wheel = write_wheel(folder)
    done = subprocess.run(
        [
            *("/bin/sh", DEPLOY / "install.sh", "--root", root, "--python", sys.executable),
            *("--engine", "native", "--upgrades", wheel),
        ],
        env={**os.environ, **given, "PIP_NO_INDEX": "1", "UV_NO_INDEX": "1"},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (root / "var/lib/headgate-wheels" / wheel.name).stat().st_mode & 0o777 == 0o644
    units = root / "etc/systemd/system"
    drop_in = (units / "headgate-agent.service.d/upgrade.conf").read_text()
    assert "HEADGATE_UPGRADE_COMMAND=/usr/local/lib/headgate/request-upgrade" in drop_in
    for one in ("request-upgrade", "carry-out-upgrade"):
        assert os.access(root / "usr/local/lib/headgate" / one, os.X_OK)
    names = [units / "headgate-upgrade.path", units / "headgate-upgrade.service"]
    verified = subprocess.run(
        [peer("systemd-analyze"), "verify", *names],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = [line for line in verified.stderr.splitlines() if "headgate-upgrade" in line]
    # It is below the test's folder.
    assert [line for line in said if "carry-out-upgrade is not executable" not in line] == []
