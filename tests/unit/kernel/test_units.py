"""Durations and sizes."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.kernel.errors import Invalid
from headgate.kernel.units import ByteSize, Duration, FineDuration


@pytest.mark.parametrize(
    ("text", "ms"),
    [("250ms", 250), ("30s", 30_000), ("1.5s", 1_500), ("5m", 300_000), ("1h", 3_600_000)],
)
def test_a_duration_is_a_number_and_a_unit(text: str, ms: int) -> None:
    assert Duration.parse(text).ms == ms


@pytest.mark.parametrize("text", ["", "5", "s", "5 parsecs", "-1s", "1e3s", "5S", "0.5ms", "9999d"])
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(Invalid):
        Duration.parse(text)


@pytest.mark.parametrize(
    ("text", "us"),
    [("100us", 100), ("0.25ms", 250), ("30s", 30_000_000), ("1.5 m", 90_000_000)],
)
def test_a_fine_duration_is_a_number_and_a_unit(text: str, us: int) -> None:
    assert FineDuration.parse(text).us == us


@pytest.mark.parametrize("text", ["", "5", "us", "1h", "-1us", "0.5us", "0.0001ms", "999999999m"])
def test_anything_else_is_no_fine_duration(text: str) -> None:
    with pytest.raises(Invalid):
        FineDuration.parse(text)


@pytest.mark.parametrize("parse", [Duration.parse, FineDuration.parse])
def test_a_number_that_no_machine_has_is_out_of_range(parse: Callable[[str], object]) -> None:
    with pytest.raises(Invalid, match="out of range"):
        parse(f"{'9' * 400}.5s")


@pytest.mark.parametrize(
    ("text", "size"), [("512B", 512), ("64KiB", 65_536), ("10MB", 10_000_000), ("1.5KiB", 1_536)]
)
def test_a_size_is_a_number_and_a_unit(text: str, size: int) -> None:
    assert ByteSize.parse(text).bytes == size


@pytest.mark.parametrize("text", ["64", "64kib", "64 Kib", "1.5B", "2000000GiB"])
def test_anything_else_is_no_size(text: str) -> None:
    with pytest.raises(Invalid):
        ByteSize.parse(text)


@given(st.integers(1, 366 * 86_400_000))
def test_what_is_written_of_a_duration_reads_back(ms: int) -> None:
    assert Duration.parse(str(Duration(ms))).ms == ms


@given(st.integers(1, 366 * 86_400_000_000))
def test_what_is_written_of_a_fine_duration_reads_back(us: int) -> None:
    assert FineDuration.parse(str(FineDuration(us))).us == us


@given(st.integers(1, 1 << 50))
def test_what_is_written_of_a_size_reads_back(size: int) -> None:
    assert ByteSize.parse(str(ByteSize(size))).bytes == size


@given(st.text(max_size=12))
def test_no_text_breaks_the_parsers(text: str) -> None:
    for parse in (Duration.parse, FineDuration.parse, ByteSize.parse):
        try:
            parse(text)
        except Invalid as wrong:
            assert wrong.what
            assert wrong.allowed
