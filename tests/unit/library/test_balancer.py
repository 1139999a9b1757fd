"""Endpoints of a program's calls."""

from collections import Counter

import pytest

from headgate import ConfigError, LoadBalancer

PLACES = ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"]


def test_weights_count() -> None:
    balancer = LoadBalancer([{"address": PLACES[0], "weight": 3}, PLACES[1]])
    picked = []
    for _ in range(40):
        with balancer.pick() as one:
            picked.append(one.address)
    assert Counter(picked) == {PLACES[0]: 30, PLACES[1]: 10}


def test_calls_under_way_count_until_they_end() -> None:
    balancer = LoadBalancer(PLACES, balance="least_conn")
    calls = [balancer.pick() for _ in range(5)]
    assert sorted(balancer.active.values()) == [1, 2, 2]
    for call in calls:
        call.end()
        call.end(good=False)
    assert set(balancer.active.values()) == {0}


def test_a_key_stays_with_its_endpoint_while_that_may_take_it() -> None:
    balancer = LoadBalancer(PLACES, balance={"maglev": {"key": "client_ip"}})
    before = {f"10.1.0.{n}": balancer.pick(f"10.1.0.{n}").address for n in range(50)}
    assert set(before.values()) == set(PLACES)
    balancer.set_usable(PLACES[0], usable=False)
    after = {key: balancer.pick(key).address for key in before}
    assert PLACES[0] not in after.values()
    assert all(after[key] == place for key, place in before.items() if place != PLACES[0])


def test_what_was_tried_is_not_picked_again_and_backups_come_last() -> None:
    balancer = LoadBalancer([PLACES[0], {"address": PLACES[1], "backup": True}])
    assert balancer.pick().address == PLACES[0]
    assert balancer.pick(tried=[PLACES[0]]).address == PLACES[1]
    with pytest.raises(LookupError, match="no endpoint may take the call"):
        balancer.pick(tried=PLACES[:2])
    with pytest.raises(KeyError):
        balancer.pick(tried=["10.9.9.9:80"])


def test_the_slower_endpoint_gets_less() -> None:
    now = [0.0]
    balancer = LoadBalancer(PLACES[:2], balance="p2c", clock=lambda: now[0])
    picked: Counter[str] = Counter()
    for _ in range(400):
        call = balancer.pick()
        now[0] += 0.5 if call.address == PLACES[0] else 0.001
        call.end()
        picked[call.address] += 1
    assert picked[PLACES[1]] > 3 * picked[PLACES[0]]


def test_a_failed_block_ends_the_call() -> None:
    balancer = LoadBalancer(PLACES[:1])
    with pytest.raises(OSError, match="down"), balancer.pick():
        raise OSError("down")
    assert balancer.active == {PLACES[0]: 0}


def test_a_policy_that_is_none_is_told() -> None:
    with pytest.raises(ConfigError, match=r"upstreams.endpoints.balance: .*least_conn"):
        LoadBalancer(PLACES, balance="least_con")
