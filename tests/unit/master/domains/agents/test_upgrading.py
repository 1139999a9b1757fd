"""What an agent's words make of its newest order to upgrade."""

import pytest

from headgate.fleet.frames import UpgradeEnded
from headgate.fleet.orders import Upgrade
from headgate.master.domains.agents.standings import Standing
from headgate.master.domains.agents.types import UpgradeState
from headgate.master.domains.agents.upgrading import Ended, columns, ended, wish


def standing(state: UpgradeState | None = "asked", program: str = "1.0.0") -> Standing:
    """An agent that was told to run 2.0.0 by its order 5."""
    return Standing(
        id="a",
        organisation_id="o",
        workspace_id="w",
        fleet="f",
        name="a",
        told="connected",
        connected_at=1,
        seen_at=1,
        failing_since=None,
        fence=1,
        revoked_at=None,
        desired_id=None,
        orders_at=None,
        certificate_serial=None,
        certificate_issuer=None,
        held_certificate=None,
        trusts=None,
        revoked_serials=None,
        program=program,
        can_upgrade=True,
        wanted_program="2.0.0",
        upgrade_order=5,
        upgrade_state=state,
        held_scope="",
        offered=None,
        acknowledged=None,
        applied=None,
        serving=None,
        phase="",
    )


def test_an_order_is_repeated_until_it_has_ended() -> None:
    assert wish(standing()) == Upgrade(5, "2.0.0")
    # It may be on its way to another version still.
    assert wish(standing(program="2.0.0")) == Upgrade(5, "2.0.0")
    assert wish(standing("done")) is None
    assert wish(standing("failed")) is None
    assert wish(standing(None)) is None


@pytest.mark.parametrize(
    ("program", "said", "end"),
    [
        ("2.0.0", None, None),
        ("2.0.0", UpgradeEnded(4, "2.0.0", ""), None),
        ("2.0.0", UpgradeEnded(5, "2.0.0", ""), Ended("2.0.0", "")),
        ("1.0.0", UpgradeEnded(4, "3.0.0", "no wheel"), None),
        ("1.0.0", UpgradeEnded(5, "2.0.0", "no wheel"), Ended("2.0.0", "no wheel")),
        ("1.0.0", UpgradeEnded(5, "2.0.0", ""), Ended("2.0.0", "the agent runs 1.0.0")),
    ],
)
def test_only_the_word_about_the_newest_order_ends_it(
    program: str, said: UpgradeEnded | None, end: Ended | None
) -> None:
    assert ended(standing(program=program), said) == end


def test_an_order_that_has_ended_ends_no_more() -> None:
    assert ended(standing("done", "2.0.0"), UpgradeEnded(5, "2.0.0", "late")) is None


def test_the_row_keeps_the_reason_of_a_failure() -> None:
    failed = {"upgrade_state": "failed", "upgrade_error": "no wheel"}
    assert columns(Ended("2.0.0", "no wheel")) == failed
    assert columns(Ended("2.0.0", "")) == {"upgrade_state": "done", "upgrade_error": None}
