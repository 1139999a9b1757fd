"""What a rollout's state says of itself."""

from typing import Any

import msgspec
import pytest
from told_fleet import OLD, Fleet, spec_of


@pytest.mark.parametrize(
    ("more", "phase", "kept"),
    [
        ({}, "succeeded", OLD),
        ({"base": None}, "succeeded", None),
        ({"kind": "certificates"}, "succeeded", None),
        ({"kind": "program", "program": "2.0.0"}, "succeeded", None),
        ({}, "undone", None),
        ({}, "superseded", None),
    ],
)
def test_only_a_rollout_that_can_be_undone_after_its_end_keeps_a_revision(
    more: dict[str, Any], phase: str, kept: int | None
) -> None:
    state = Fleet(spec_of(**more)).state
    assert msgspec.structs.replace(state, phase=phase).kept_base == kept
