"""Balance policies in the plan."""

import pytest
from pydantic import TypeAdapter, ValidationError

from headgate.features.registry import BALANCERS
from headgate.model.choice import BalancePolicy, BalanceTable
from headgate.plan.objects import HashBalance, Maglev, RingHash

POLICY: TypeAdapter[BalanceTable] = TypeAdapter(BalancePolicy)


@pytest.mark.parametrize("key", [balancer.key for balancer in BALANCERS])
def test_a_word_is_the_table_without_options(key: str) -> None:
    assert POLICY.validate_python(key) == POLICY.validate_python({key: {}})


def test_options_reach_the_plan() -> None:
    policy = POLICY.validate_python({"ring_hash": {"key": "header:X-User", "load_bound": 0}})
    assert policy.to_plan() == HashBalance(ring_hash=RingHash("header:x-user", 100, 0))
    policy = POLICY.validate_python({"maglev": {"key": "cookie:Sid", "table_size": 251}})
    assert policy.to_plan() == HashBalance(maglev=Maglev("cookie:Sid", 251))


@pytest.mark.parametrize(
    "value",
    [
        "round-robin",
        {},
        {"random": {}, "p2c": {}},
        {"maglev": {"key": "ip"}},
        {"maglev": {"key": "header:"}},
        {"maglev": {"table_size": 1000}},
        {"random": {"key": "path"}},
        {"ring_hash": {"load_bound": 99}},
        {"ring_hash": {"load_bound": 10_001}},
        5,
        [],
    ],
)
def test_what_is_no_policy_is_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        POLICY.validate_python(value)
