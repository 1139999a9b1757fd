"""The two planes as processes of their own on one host: who is let in, and what each side says."""

import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from running_node import HEADGATE, get
from tls_authority import Authority
from told import until_metric
from two_planes import CONTROL, DATA_PLANE, Plane, Planes, two_planes
from waiting import DEADLINE_S, until

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def planes(folder: Path) -> Iterator[Planes]:
    """Both planes, not started yet."""
    with two_planes(folder) as found:
        yield found


def answers(port: int, body: bytes) -> bool:
    """Whether the data plane answers this now."""
    try:
        return get(port) == (200, body)
    except OSError:
        return False


def test_a_config_reaches_the_data_plane_and_both_sides_say_what_they_know(
    planes: Planes,
) -> None:
    planes.start()
    assert get(planes.port) == (200, b"one")
    planes.write("two")
    until(lambda: answers(planes.port, b"two"), "the changed config")
    until_metric(planes.data, "headgate_link_connected", 1)
    until_metric(planes.control, "headgate_link_connected", 1)
    here, there = planes.control.link(), planes.data.link()
    assert here["role"] == "control" and there["role"] == "dataplane"
    for link, name in ((here, DATA_PLANE), (there, CONTROL)):
        peer = link["peer"]
        assert isinstance(peer, dict)
        assert peer["certificate"]["names"] == [name]
        assert link["protocol"] == 1 and float(str(link["last_contact"])) > 0
    processes = planes.control.status()["processes"]
    assert isinstance(processes, list)
    assert [one["process"] for one in processes] == ["control"]
    texts = [command("status", plane).stdout for plane in (planes.control, planes.data)]
    gate = planes.data.pid_of("gate")
    assert "\nremote      on " in texts[0] and "data plane: " in texts[0]
    assert f"\nprocesses   gate {gate}, " in texts[1] and "control plane: " in texts[1]
    files = [path for path in planes.data.state.rglob("*") if path.is_file()]
    assert files and {path.stat().st_mode & 0o077 for path in files if "key" in path.name} <= {0}


def test_the_last_good_plan_is_served_at_once_without_a_control_plane(planes: Planes) -> None:
    planes.start()
    planes.control.end()
    until(lambda: not planes.data.is_linked(), "the end of the link")
    assert get(planes.port) == (200, b"one")
    assert planes.data.ready()
    planes.data.end()
    planes.data.start()
    until(lambda: answers(planes.port, b"one"), "the last good plan")
    until(planes.data.ready, "readiness without a control plane")
    until_metric(planes.data, "headgate_link_connected", 0)
    refused = command("reload", planes.data)
    assert refused.returncode == 1 and "where its control plane runs" in refused.stderr
    planes.write("two")
    planes.control.start()
    until(lambda: answers(planes.port, b"two"), "the config of the next control plane")


def test_a_second_control_plane_waits_and_takes_over(planes: Planes, folder: Path) -> None:
    planes.start()
    planes.authority.issue("second", CONTROL)
    with Plane(folder, "c2").start(*planes.control_arguments("second")) as second:
        until(lambda: "another control plane holds" in str(second.link().get("error")), "refusal")
        assert str(planes.control.process.pid) in str(second.link()["error"])
        assert not second.ready()
        assert planes.control.is_linked()
        planes.control.process.kill()
        planes.control.process.wait()
        until(second.is_linked, "the second control plane's turn")
        until(second.ready, "its readiness")
        peer = planes.data.link()["peer"]
        assert isinstance(peer, dict) and peer["pid"] == second.process.pid


def test_who_has_no_right_certificate_stays_out_and_is_told_why(
    planes: Planes, folder: Path
) -> None:
    planes.start()
    other = Authority(folder, "other")
    other.issue("foreign", CONTROL)
    planes.authority.issue("misnamed", "somebody.test")
    planes.authority.issue("expired", CONTROL, days=-1)
    for stem, words, kind in (
        ("foreign", "it does not accept our certificate", "certificate"),
        ("misnamed", "--control-name wants control.test", "name"),
        ("expired", "it does not accept our certificate", "certificate"),
    ):
        with Plane(folder, f"c-{stem}").start(*planes.control_arguments(stem)) as stranger:
            until(lambda: words in str(stranger.link().get("error")), words)  # noqa: B023
        reason = f'"reason": "{kind}"'
        until(lambda: reason in planes.data.log.read_text(), reason)  # noqa: B023
    arguments = planes.control_arguments()
    arguments[arguments.index(DATA_PLANE)] = "elsewhere.test"
    with Plane(folder, "c-name").start(*arguments) as stranger:
        until(lambda: "is not for elsewhere.test" in str(stranger.link().get("error")), "the name")
    arguments = planes.control_arguments()
    arguments[arguments.index("--ca") + 1] = str(other.ca_file)
    with Plane(folder, "c-ca").start(*arguments) as stranger:
        until(lambda: "is not signed by our CA" in str(stranger.link().get("error")), "the CA")
    assert planes.control.is_linked()


def test_mistakes_on_the_command_line_end_it_with_words(planes: Planes, folder: Path) -> None:
    planes.start()
    twin = planes.data_arguments()
    done = headgate(*twin, "--state-dir", str(folder / "d2"))
    assert done.returncode == 78 and "held by headgate-gate" in done.stderr
    for end in (planes.data_arguments(), planes.control_arguments()):
        end[end.index("--key") + 1] = str(folder / "nowhere.key")
        done = headgate(*end, "--state-dir", str(folder / "d3"))
        assert done.returncode == 78 and "nowhere.key cannot be read" in done.stderr
    planes.config.with_name("nginx.toml").write_text('[node]\nengine = "nginx"\n')
    done = headgate("drain", "--state-dir", str(planes.control.state))
    assert done.returncode == 1 and "control plane without a supervisor" in done.stderr


def test_systemd_is_told_when_a_control_plane_serves_reloads_and_leaves(
    planes: Planes, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(folder / "notify")
    place = f"127.0.0.1:{planes.link_port}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(DEADLINE_S)
        with monkeypatch.context() as only:
            only.setenv("NOTIFY_SOCKET", path)
            only.setenv("WATCHDOG_USEC", "10000000")
            planes.control.start(*planes.control_arguments())
        assert manager.recv(300).decode() == f"STATUS=waits for the data plane at {place}"
        assert manager.recv(300) == b"WATCHDOG=1"
        planes.data.start(*planes.data_arguments())

        def following() -> str:
            """What it says next, beside that it lives."""
            while (said := manager.recv(300)) == b"WATCHDOG=1":
                pass
            return said.decode()

        assert following() == f"READY=1\nSTATUS=serving through {place}"
        assert get(planes.port) == (200, b"one")
        planes.control.process.send_signal(signal.SIGHUP)
        assert following().startswith("RELOADING=1\nMONOTONIC_USEC=")
        assert following() == "READY=1\nSTATUS=last reload: unchanged"
        planes.data.process.kill()
        assert following().startswith(f"STATUS=waits for the data plane at {place}: ")
        planes.control.process.send_signal(signal.SIGTERM)
        assert following() == "STOPPING=1"
        assert planes.control.process.wait(DEADLINE_S) == 0


def command(name: str, plane: Plane) -> "subprocess.CompletedProcess[str]":
    """A command for one plane."""
    return headgate(name, "--state-dir", str(plane.state))


def headgate(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """A command that ends."""
    return subprocess.run(
        [str(HEADGATE), *arguments], capture_output=True, text=True, timeout=60, check=False
    )
