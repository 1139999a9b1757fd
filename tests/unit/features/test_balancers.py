"""Balance policies in the plan."""

import msgspec
import pytest
from pydantic import TypeAdapter, ValidationError

from headgate._core import plan_check
from headgate.features.nodes import balancer_of
from headgate.features.registry import BALANCERS
from headgate.model.choice import DEFAULT_POLICY, BalancePolicy, BalanceTable
from headgate.plan.balance import ROUND_ROBIN, Balance
from headgate.plan.codec import decode, encode
from headgate.plan.objects import Endpoint, Upstream

POLICY: TypeAdapter[BalanceTable] = TypeAdapter(BalancePolicy)


@pytest.mark.parametrize("key", [balancer.key for balancer in BALANCERS])
def test_a_word_is_the_table_without_options(key: str) -> None:
    assert POLICY.validate_python(key) == POLICY.validate_python({key: {}})


def test_options_reach_the_plan() -> None:
    policy = POLICY.validate_python({"ring_hash": {"key": "header:X-User", "load_bound": 0}})
    assert policy.to_plan() == Balance(ring_hash={"key": "header:x-user", "load_bound": 0})
    policy = POLICY.validate_python({"maglev": {"key": "cookie:Sid", "table_size": 251}})
    assert policy.to_plan() == Balance(maglev={"key": "cookie:Sid", "table_size": 251})


def test_a_policy_without_options_is_a_word_in_the_plan() -> None:
    p2c = Upstream((Endpoint("a:1"),), balance=POLICY.validate_python("p2c").to_plan())
    assert encode(p2c) == b'{"balance":"p2c","endpoints":[{"address":"a:1"}]}'
    assert decode("upstream", encode(p2c)) == p2c
    table = Upstream((Endpoint("a:1"),), balance=POLICY.validate_python("maglev").to_plan())
    assert b'{"balance":{"maglev":{"key":"client_ip"}},' in encode(table)
    assert decode("upstream", encode(table)) == table


def test_the_first_policy_is_what_a_plan_leaves_out() -> None:
    assert DEFAULT_POLICY.to_plan() == ROUND_ROBIN
    upstream = Upstream((Endpoint("a:1"),), balance=DEFAULT_POLICY.to_plan())
    assert encode(upstream) == b'{"endpoints":[{"address":"a:1"}]}'


def test_the_policy_of_another_version_is_carried_and_not_read() -> None:
    found = decode("upstream", b'{"balance":{"later":{"a":1}},"endpoints":[{"address":"a:1"}]}')
    assert isinstance(found, Upstream)
    assert found.balance == Balance(later={"a": 1})
    with pytest.raises(msgspec.ValidationError, match='no balance policy "later"'):
        balancer_of(found.balance)
    assert "no balance policy `later`; write round_robin, " in str(
        plan_check("upstream", encode(found))
    )


def test_nodes_say_what_they_hash() -> None:
    said = {
        balancer.key: balancer_of(POLICY.validate_python(balancer.key).to_plan()).hashed
        for balancer in BALANCERS
    }
    assert {key for key, hashed in said.items() if hashed} == {"ring_hash", "maglev"}
    assert said["maglev"] == "client_ip"


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
