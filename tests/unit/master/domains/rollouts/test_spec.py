"""Waves as people write them."""

import pytest

from headgate.kernel.errors import Invalid
from headgate.master.domains.rollouts.spec import Spec, parse_wave, parse_waves, wanted, waves_of


@pytest.mark.parametrize("text", ["1", "10%", "100%", "rest", "zone:eu-1", "label:tier=canary"])
def test_a_wave_reads_as_it_is_written(text: str) -> None:
    assert str(parse_wave(text)) == text


@pytest.mark.parametrize("text", ["", "0", "0%", "101%", "-1", "zone:", "label:x", "label:=x", "a"])
def test_what_is_no_wave_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="is not a wave; write a number of agents"):
        parse_wave(text)


def test_the_rest_comes_last_even_if_it_is_not_written() -> None:
    assert [str(wave) for wave in parse_waves(["1"])] == ["1", "rest"]
    with pytest.raises(Invalid, match='write "rest" last'):
        parse_waves(["rest", "1"])


@pytest.mark.parametrize(
    ("size", "reached", "count"), [(1, 0, 1), (11, 1, 1), (101, 0, 11), (5, 5, 0)]
)
def test_a_share_is_rounded_up_and_counts_who_was_reached(
    size: int, reached: int, count: int
) -> None:
    assert wanted(parse_wave("10%"), size, reached) == count


def test_the_default_waves_are_one_agent_a_tenth_a_half_and_the_rest() -> None:
    waves = waves_of(Spec("r", "edge", 2, 1, "ann"))
    assert [str(wave) for wave in waves] == ["1", "10%", "50%", "rest"]


@pytest.mark.parametrize(
    "spec",
    [
        Spec("r", "edge", 2, 1, "ann", is_now=True),
        Spec("r", "edge", 2, 1, "ann", kind="certificates"),
    ],
)
def test_certificates_and_now_take_all_agents_at_once(spec: Spec) -> None:
    assert [str(wave) for wave in waves_of(spec)] == ["rest"]
