"""How long a drift may stand before it is healed, as the command line has it."""

import pytest

from headgate.cli.remote.drifting import _seconds
from headgate.cli.remote.errors import MasterError


def test_whole_seconds_are_taken() -> None:
    assert [_seconds(text) for text in ("1s", "1.5s", "10m")] == [1, 1, 600]


def test_anything_but_a_duration_is_refused_by_the_name_of_the_option() -> None:
    with pytest.raises(MasterError, match=r'--heal-after: "soon" is not a duration'):
        _seconds("soon")
