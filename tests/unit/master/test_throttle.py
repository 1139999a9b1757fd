"""Failures make the next try wait, within bounds."""

import pytest

from headgate.master.domains.sessions.throttle import (
    ADDRESS,
    FORGOTTEN_AFTER_MS,
    MOST_KEYS,
    PAIR,
    Throttle,
    network_of,
)


class Clock:
    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


def test_waits_double_and_end() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    keys = {PAIR: "ann"}
    waits = []
    for _ in range(20):
        waits.append(throttle.wait_ms(keys))
        clock.now += waits[-1]
        throttle.failed(keys)
    assert waits[:8] == [0, 0, 0, 0, 0, 1_000, 2_000, 4_000]
    assert max(waits) == PAIR.longest_ms


def test_failures_of_a_clock_that_was_ahead_hold_nobody_up() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    keys = {PAIR: "ann"}
    clock.now = 3_600_000
    for _ in range(6):
        throttle.failed(keys)
    clock.now -= 1_000  # another master's may be behind
    assert throttle.wait_ms(keys) == 3_000
    clock.now = 0
    assert throttle.wait_ms(keys) == 0
    throttle.failed(keys)
    assert throttle.wait_ms(keys) == 4_000


def test_failures_are_forgotten_after_success_and_in_time() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    keys = {PAIR: "ann", ADDRESS: "here"}
    for _ in range(6):
        throttle.failed(keys)
    assert throttle.wait_ms(keys)
    throttle.passed(keys)
    assert not throttle.wait_ms(keys)
    for _ in range(5):
        throttle.failed(keys)
    clock.now += FORGOTTEN_AFTER_MS + 1
    throttle.failed(keys)
    assert not throttle.wait_ms(keys)


def test_it_remembers_a_bounded_number_of_keys() -> None:
    throttle = Throttle(Clock())
    for number in range(MOST_KEYS + 10):
        throttle.failed({PAIR: str(number)})
    assert len(throttle._records) == MOST_KEYS


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:0:1:2:3:4:5", "2001:db8:0:1::"),
        ("2001:db8:0:1::", "2001:db8:0:1::"),
        ("fe80::7%eth0", "fe80::%eth0"),
        ("unix:", "unix:"),
        ("", ""),
    ],
)
def test_whoever_may_choose_among_many_addresses_counts_as_one(address: str, network: str) -> None:
    assert network_of(address) == network
