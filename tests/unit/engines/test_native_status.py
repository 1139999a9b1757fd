"""The status of a data plane in the words of every engine."""

import time

import msgspec
import pytest

from headgate.engines.applies import Applies
from headgate.engines.native.status import engine_status
from headgate.engines.native.types import DataPlaneStatus, Identity
from headgate.engines.status import LastApply, WorkerStatus
from headgate.plan.plan import Plan

PLANE = DataPlaneStatus("ab", 3, 10.0, False, [WorkerStatus(0, 1, 2, 0)], [], [])
IDENTITY = Identity("0.1.0", 7, 3, "ab", 1, False)


def test_it_says_who_serves_which_plan_since_when() -> None:
    applies = Applies()
    applies.ended(LastApply(5.0, "serving", "ab"))
    begun = time.time()
    found = engine_status(PLANE, IDENTITY, applies)
    ended = time.time()
    assert (found.kind, found.state, found.why) == ("native", "serving", "")
    assert (found.version, found.pid, found.workers) == ("0.1.0", 7, 1)
    assert (found.digest, found.since, found.last_apply) == ("ab", 5.0, applies.last)
    assert round(begun - 10.0) <= found.started_at <= round(ended - 10.0)
    assert found.drift is None
    assert found.nginx is None
    assert found.native is not None
    assert found.native.generation == 3


def test_a_refused_apply_leaves_the_time_of_what_serves() -> None:
    applies = Applies()
    applies.ended(LastApply(5.0, "serving", "ab"))
    applies.ended(LastApply(9.0, "rejected", "cd", "no"))
    found = engine_status(PLANE, IDENTITY, applies)
    assert (found.since, found.last_apply) == (5.0, LastApply(9.0, "rejected", "cd", "no"))
    other = msgspec.structs.replace(PLANE, plan_digest="ef")
    assert engine_status(other, IDENTITY, applies).since == 0.0


@pytest.mark.parametrize(
    ("changed", "state", "why"),
    [
        ({"draining": True}, "draining", "it accepts no new connections"),
        ({"plan_digest": Plan().digest.hex()}, "waiting", "no config was served yet"),
    ],
)
def test_a_data_plane_that_serves_nothing_new_says_why(
    changed: dict[str, object], state: str, why: str
) -> None:
    found = engine_status(msgspec.structs.replace(PLANE, **changed), IDENTITY, Applies())
    assert (found.state, found.why) == (state, why)


def test_without_a_data_plane_the_section_is_there_and_says_so() -> None:
    found = engine_status(None, IDENTITY, Applies())
    assert (found.state, found.why, found.pid) == ("down", "there is no data plane", None)
    assert found.native is None
