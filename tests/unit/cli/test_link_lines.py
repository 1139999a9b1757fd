"""What `headgate status` says of processes on two hosts, and of the link between them."""

import msgspec

from headgate.cli import manage
from headgate.cli.link_lines import link_lines, process_lines
from headgate.engines.status import EngineStatus
from headgate.node.about import ConfigStatus, NodeStatus, ProcessStatus
from headgate.node.link import About, DataPlane
from headgate.node.remote.peer import Certificate, LinkStatus, Peer

SUPERVISOR = About(
    DataPlane(3, 77, "dp.sock"),
    ["127.0.0.1:80"],
    2,
    {"control": 2, "dataplane": 4},
    "running",
    True,
)
OURS = Certificate("CN=ours", ["control.test", "10.0.0.1"], 1_900_000_000.0)
THEIRS = Certificate("CN=theirs", [], 0.0)
PEER = Peer("10.0.0.2:9443", "edge-1", 42, "0.8.0", THEIRS)
UP = LinkStatus("control", "edge:9443", True, 1_800_000_000.0, 1_800_000_060.0, OURS, 2, peer=PEER)
NODE = NodeStatus(
    True,
    "",
    ProcessStatus("1", 11, 1.0),
    ConfigStatus([], "", 0, 0.0, None),
    None,
    EngineStatus(kind="native", state="serving"),
)


def test_a_node_on_one_host_has_its_processes_on_one_line() -> None:
    assert process_lines(NODE, SUPERVISOR) == [
        "processes   control 11, restarted 2 times; data plane restarted 4 times"
    ]


def test_processes_that_never_were_restarted_or_are_away_count_0() -> None:
    node = msgspec.structs.replace(NODE, control=None)
    supervisor = msgspec.structs.replace(SUPERVISOR, restarts={})
    assert process_lines(node, supervisor) == [
        "processes   control 0, restarted 0 times; data plane restarted 0 times"
    ]


def test_the_side_of_the_data_plane_has_a_gate() -> None:
    node = msgspec.structs.replace(NODE, gate=ProcessStatus("1", 12, 1.0), control=None, link=UP)
    assert process_lines(node, SUPERVISOR) == [
        "processes   gate 12, restarted 2 times; data plane restarted 4 times"
    ]


def test_processes_of_another_host_are_said_to_be_there() -> None:
    node = msgspec.structs.replace(NODE, link=UP)
    assert process_lines(node, SUPERVISOR) == [
        "processes   control 11",
        "remote      on edge-1: data plane 77, restarted 4 times; gate restarted 2 times",
    ]
    unknown = msgspec.structs.replace(UP, peer=None)
    node = msgspec.structs.replace(NODE, link=unknown)
    assert process_lines(node, msgspec.structs.replace(SUPERVISOR, dataplane=None)) == [
        "processes   control 11",
        "remote      on edge:9443: data plane restarted 4 times; gate restarted 2 times",
    ]


def test_a_link_that_is_up_tells_of_both_its_ends() -> None:
    assert link_lines(UP) == [
        "link        up since 2027-01-15T08:00:00Z, version 2",
        "            data plane: edge-1 at 10.0.0.2:9443, pid 42, headgate 0.8.0",
        "            its certificate: CN=theirs, until never",
        "            last contact 2027-01-15T08:01:00Z",
        "            our certificate: control.test, 10.0.0.1, until 2030-03-17T17:46:40Z",
    ]


def test_a_link_that_is_down_tells_why_and_who_was_there() -> None:
    lost = msgspec.structs.replace(
        UP,
        role="dataplane",
        connected=False,
        error="it hung up",
        refused="10.9.9.9: it sent no certificate",
        refusals=3,
    )
    said = link_lines(lost)
    assert said[0] == "link        down since 2027-01-15T08:00:00Z: it hung up"
    assert said[1] == "            listens for a control plane at edge:9443"
    assert said[2].startswith("            control plane: the last one was edge-1 at 10.0.0.2:9443")
    assert said[-1] == (
        "            3 connections refused; the last: 10.9.9.9: it sent no certificate"
    )


def test_a_link_that_never_was_up_tells_of_its_own_end_alone() -> None:
    bare = Certificate("", [], 0.0)
    link = LinkStatus("control", "edge:9443", False, 0.0, 0.0, bare, error="no such name")
    assert link_lines(link) == [
        "link        down since never: no such name",
        "            our certificate: none yet",
    ]


def test_the_trouble_of_a_certificate_is_told_whether_there_is_one_or_not() -> None:
    missing = Certificate("", [], 0.0, trouble="it cannot be read")
    nameless = Certificate("", [], 1_900_000_000.0, trouble="it ends soon")
    for one, shown in ((missing, "none yet"), (nameless, "without a name, until 2030-03-17")):
        link = link_lines(msgspec.structs.replace(UP, peer=None, certificate=one))
        assert link[-2].startswith(f"            our certificate: {shown}")
        assert link[-1] == f"            {one.trouble}"


def test_the_config_of_a_gate_comes_from_the_control_plane() -> None:
    gated = msgspec.structs.replace(NODE, gate=ProcessStatus("1", 12, 1.0))
    assert manage._config(gated) == f"config      {NODE.config.digest[:12]}  from the control plane"
    said = manage._config(NODE)
    assert said.startswith(f"config      {NODE.config.digest[:12]}  {NODE.config.objects} objects")
