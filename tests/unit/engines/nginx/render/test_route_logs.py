"""The condition of nginx's access log: which requests of a route are in it."""

import re

from hypothesis import given
from hypothesis import strategies as st

from headgate.engines.nginx.render.route_logs import at_least

TIMES = st.integers(min_value=0, max_value=10_000_000) | st.integers(0, 12_000)


@given(least=TIMES, time=TIMES)
def test_a_time_fits_from_its_length_on(least: int, time: int) -> None:
    text = f"{time // 1000}.{time % 1000:03d}"
    assert bool(re.fullmatch(at_least(least), text)) == (time >= least)


@given(least=TIMES)
def test_the_length_itself_fits_and_a_millisecond_less_does_not(least: int) -> None:
    for time, fits in ((least, True), (least - 1, False), (least + 1, True)):
        if time >= 0:
            text = f"{time // 1000}.{time % 1000:03d}"
            assert bool(re.fullmatch(at_least(least), text)) == fits
