"""Plans, deltas and the canonical form."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.kernel.ids import ObjectName
from headgate.plan import middleware, objects, settings
from headgate.plan.balance import Balance
from headgate.plan.codec import OBJECTS, decode, encode
from headgate.plan.kinds import KINDS, ObjectKey
from headgate.plan.node import DefaultedNode, PlanNode, valued_defaults
from headgate.plan.objects import Action, Listener, Route, RouteTimeouts, Upstream
from headgate.plan.plan import Plan, PlanEntry, diff, entry, plan_of

NODES = [
    node
    for module in (objects, middleware, settings)
    for node in vars(module).values()
    if isinstance(node, type) and issubclass(node, PlanNode) and node is not PlanNode
]


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.__name__)
def test_defaults_that_are_values_are_left_out_wherever_the_value_came_from(
    node: type[PlanNode],
) -> None:
    assert not valued_defaults(node) or issubclass(node, DefaultedNode)


def test_what_equals_a_default_is_left_out() -> None:
    spelled_out = Listener(
        addresses=("a:1",), protocol="http", backlog=int("4096"), head_bytes=int("32768")
    )
    assert encode(spelled_out) == b'{"addresses":["a:1"],"protocol":"http"}'


def test_nested_defaults_are_left_out() -> None:
    route = Route(
        hosts=("*",),
        listeners=("web",),
        action=Action(upstream="u"),
        timeouts=RouteTimeouts(first_byte_ms=int("60000")),
    )
    assert encode(route) == b'{"action":{"upstream":"u"},"hosts":["*"],"listeners":["web"]}'


def test_no_limit_differs_from_no_limit_of_its_own() -> None:
    of_its_own = Route(hosts=("*",), listeners=("w",), action=Action(upstream="u"), body_bytes=0)
    assert b'"body_bytes":0' in encode(of_its_own)


def test_choices_are_one_key_or_a_word() -> None:
    upstream = Upstream(
        endpoints=(objects.Endpoint(address="a:1"),),
        balance=Balance(maglev={"key": "path"}),
        host_header=objects.HostLiteral(literal="x"),
    )
    assert encode(upstream) == (
        b'{"balance":{"maglev":{"key":"path"}},"endpoints":[{"address":"a:1"}],'
        b'"host_header":{"literal":"x"}}'
    )
    assert b'"balance":"p2c"' in encode(msgspec.structs.replace(upstream, balance=Balance(p2c={})))
    sink = settings.LogSink(stdout=settings.StdoutSink())
    assert encode(sink) == b'{"stdout":{}}'


def test_a_regex_rewrite_is_written_with_with() -> None:
    rewrite = middleware.PathRewrite(regex=middleware.RegexRewrite("/a", "/b"))
    assert encode(rewrite) == b'{"regex":{"pattern":"/a","with":"/b"}}'


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        decode("host", b'{"certificate":"x"}')


def test_every_kind_has_a_type() -> None:
    assert len(OBJECTS) == len(KINDS)


names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=4)
hosts = st.builds(objects.Host, certificates=st.lists(names, max_size=3).map(tuple))
upstreams = st.builds(
    Upstream,
    endpoints=st.lists(
        st.builds(objects.Endpoint, address=names, weight=st.integers(0, 9)), max_size=3
    ).map(tuple),
    queue=st.integers(0, 2_000),
)
entries = st.one_of(
    st.builds(lambda name, value: entry("host", name, value), names, hosts),
    st.builds(lambda name, value: entry("upstream", name, value), names, upstreams),
)
plans = st.lists(entries, max_size=20).map(plan_of)


@given(hosts)
def test_a_host_survives_its_bytes(value: objects.Host) -> None:
    assert decode("host", encode(value)) == value


@given(upstreams)
def test_an_upstream_survives_its_bytes(value: Upstream) -> None:
    again = decode("upstream", encode(value))
    assert again == value
    assert encode(again) == encode(value)


@given(plans, plans)
def test_a_delta_turns_one_plan_into_the_other(old: Plan, new: Plan) -> None:
    delta = diff(old, new)
    changes: dict[ObjectKey, PlanEntry | None] = {put.key: put for put in delta.puts}
    changes |= dict.fromkeys(delta.deletes)
    reached = old.with_changes(changes)
    assert reached.digest == new.digest == delta.digest
    assert reached.objects == new.objects
    assert bool(delta) == (old.digest != new.digest)


@given(plans)
def test_a_plan_does_not_change(plan: Plan) -> None:
    before = (plan.digest, dict(plan.objects))
    key = ObjectKey("host", ObjectName("added"))
    plan.with_changes({key: entry("host", "added", objects.Host())})
    assert (plan.digest, dict(plan.objects)) == before
