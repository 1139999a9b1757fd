"""The two planes in two network namespaces under load: cut, killed, certificates rotated."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from load_client import CLIENTS
from namespaces import Cable, Load, inside
from peers import ROOT_ONLY
from told import until_metric
from two_planes import CONTROL, DATA_PLANE, Planes, two_planes
from waiting import until

pytestmark = [ROOT_ONLY, pytest.mark.timeout(300)]

_ASK = """
import sys, urllib.request
with urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/", timeout=45) as answer:
    sys.stdout.write(answer.read().decode())
"""


@pytest.fixture
def cable() -> Iterator[Cable]:
    """The namespaces: on the left the data plane and its clients, on the right the control."""
    with Cable() as found:
        yield found


@pytest.fixture
def planes(folder: Path, cable: Cable) -> Iterator[Planes]:
    """Both planes, linked, and serving `one`."""
    with two_planes(folder, cable) as found:
        yield found.start()


def says(cable: Cable, planes: Planes) -> str:
    """What the data plane answers now; empty when it does not."""
    command = [*inside(cable.spaces[0]), sys.executable, "-c", _ASK, str(planes.port)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def test_a_cut_link_costs_no_request_and_what_changed_meanwhile_follows(
    planes: Planes, cable: Cable
) -> None:
    with Load(cable.spaces[0], planes.port) as load:
        cable.cut()
        until(lambda: not planes.control.is_linked(), "the control plane's notice of the cut")
        until(lambda: not planes.data.is_linked(), "the data plane's notice of the cut")
        assert not planes.control.ready() and planes.data.ready()
        until_metric(planes.control, "headgate_link_connected", 0)
        planes.write("two")
        assert says(cable, planes) == "one"
        cable.mend()
        planes.until_linked()
        until(lambda: says(cable, planes) == "two", "the change that was made during the cut")
        until(planes.control.ready, "readiness of the control plane")
        answers, failures = load.end()
    assert failures == []
    assert answers > CLIENTS


def test_neither_a_killed_control_plane_nor_a_killed_gate_costs_a_request(
    planes: Planes, cable: Cable
) -> None:
    with Load(cable.spaces[0], planes.port) as load:
        os.kill(planes.control.pid_of("control"), signal.SIGKILL)
        planes.control.process.wait()
        until(lambda: not planes.data.is_linked(), "the end of the link")
        planes.write("two")
        planes.control.start()
        until(lambda: says(cable, planes) == "two", "the config of the next control process")
        gate = planes.data.pid_of("gate")
        os.kill(gate, signal.SIGKILL)
        until(lambda: planes.data.pid_of("gate") not in {0, gate}, "another gate")
        planes.until_linked()
        planes.write("three")
        until(lambda: says(cable, planes) == "three", "a change through the next gate")
        answers, failures = load.end()
    assert failures == []
    assert answers > CLIENTS


def test_rotated_certificates_are_used_at_once_and_cost_no_request(
    planes: Planes, cable: Cable
) -> None:
    ends = {"dp": DATA_PLANE, "ctl": CONTROL}
    sides = {"dp": planes.control, "ctl": planes.data}  # who sees the certificate of the other
    with Load(cable.spaces[0], planes.port) as load:
        for stem, name in ends.items():
            planes.authority.issue(stem, name, f"{stem}-2.test", days=99)

            def is_seen(stem: str = stem) -> bool:
                peer = sides[stem].link().get("peer")
                names = peer["certificate"]["names"] if isinstance(peer, dict) else []
                return f"{stem}-2.test" in names and sides[stem].is_linked()

            until(is_seen, f"the new certificate of {stem}")
        planes.until_linked()
        planes.write("two")
        until(lambda: says(cable, planes) == "two", "a change after the rotation")
        answers, failures = load.end()
    assert failures == []
    assert answers > CLIENTS


def test_a_killed_data_plane_costs_what_it_held_and_nothing_more(
    planes: Planes, cable: Cable
) -> None:
    with Load(cable.spaces[0], planes.port) as load:
        killed = planes.data.pid_of("dataplane")
        os.kill(killed, signal.SIGKILL)
        until(lambda: planes.data.pid_of("dataplane") not in {0, killed}, "another data plane")
        planes.write("two")
        until(lambda: says(cable, planes) == "two", "a change on the next data plane")
        answers, failures = load.end()
    assert len(failures) <= CLIENTS, failures
    assert answers > CLIENTS


def test_a_supervisor_that_was_restarted_serves_alone_and_is_found_again(
    planes: Planes, cable: Cable
) -> None:
    planes.data.process.kill()
    planes.data.process.wait()
    until(lambda: not planes.control.is_linked(), "the end of the link")
    planes.data.start()
    until(lambda: says(cable, planes) == "one", "the last good plan")
    planes.until_linked()
    planes.write("two")
    until(lambda: says(cable, planes) == "two", "a change after the restart")
