"""What `headgate status` says of an agent's master."""

import msgspec
import pytest

from headgate.cli.master_lines import master_lines
from headgate.node.agent.about import MasterStatus, RevisionStatus

SEVEN = RevisionStatus(7, "a" * 64)
EIGHT = RevisionStatus(8, "b" * 64)
LIVE = MasterStatus(
    url="grpcs://master.test",
    agent="01A",
    state="live",
    acknowledged=SEVEN,
    serving=SEVEN,
    held=[7, 6],
    last_contact_at=900.0,
    last_error="it hung up",
)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1_000.0)


def test_a_connected_agent_says_what_it_serves_and_keeps() -> None:
    assert master_lines(LIVE) == [
        "master      grpcs://master.test: connected, agent 01A",
        "            last contact 100 s ago",
        "revision    7 (aaaaaaaaaaaa) serves, on disk 7, 6",
    ]


def test_an_agent_without_its_master_says_why() -> None:
    away = msgspec.structs.replace(LIVE, state="waiting", last_contact_at=1_001.0)
    assert master_lines(away)[:3] == [
        "master      grpcs://master.test: not connected (waiting), agent 01A",
        "            last contact 0 s ago",
        "            last error: it hung up",
    ]


def test_an_agent_that_never_enrolled_says_nothing_that_it_does_not_know() -> None:
    assert master_lines(MasterStatus(url="https://master.test")) == [
        "master      https://master.test: not connected (enrolling)",
        "revision    none serves",
    ]


def test_a_newer_revision_is_received_or_refused() -> None:
    newer = msgspec.structs.replace(LIVE, acknowledged=EIGHT)
    assert master_lines(newer)[-1] == "            8 (bbbbbbbbbbbb) was received"
    refused = msgspec.structs.replace(newer, refused=EIGHT)
    assert master_lines(refused)[-1] == "            8 (bbbbbbbbbbbb) was received and refused"


def test_a_bundle_that_cannot_be_used_is_a_warning() -> None:
    broken = msgspec.structs.replace(LIVE, skipped={"6": "its signature is wrong"})
    assert master_lines(broken)[-1] == "warning     bundle 6: its signature is wrong"


def test_an_upgrade_that_failed_is_a_warning() -> None:
    failed = msgspec.structs.replace(LIVE, upgrade_error="the version is not there")
    assert master_lines(failed)[-1] == "warning     the version is not there"
