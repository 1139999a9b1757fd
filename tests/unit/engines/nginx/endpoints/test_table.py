"""Which endpoints may be in the table, and the table as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.engines.nginx.endpoints.table import (
    BadTableError,
    decode,
    encode,
    table_of,
    why_static,
)
from headgate.plan.balance import Balance
from headgate.plan.objects import Endpoint, Upstream
from headgate.plan.plan import entry, plan_of

LINES = st.lists(st.sampled_from(["1 0 127.0.0.1:80", "3 1 [::1]:80", "2 0 unix:/a b"]), max_size=3)
NAMES = st.text(st.characters(blacklist_categories=("Cc", "Cs")), min_size=1, max_size=20)


@given(st.dictionaries(NAMES, LINES.map(tuple), max_size=4))
def test_what_is_written_is_read(table: dict[str, tuple[str, ...]]) -> None:
    assert decode(encode(table)) == table


@given(st.dictionaries(st.text(max_size=5), st.lists(st.text(max_size=12)).map(tuple), max_size=3))
def test_no_text_becomes_another_line(table: dict[str, tuple[str, ...]]) -> None:
    try:
        text = encode(table)
    except BadTableError:
        return
    except UnicodeEncodeError:
        return  # half of a character
    assert text.count(b"\n") == len(table) + sum(map(len, table.values()))


@given(st.binary(max_size=60))
def test_any_bytes_are_a_table_or_refused(text: bytes) -> None:
    try:
        assert encode(decode(text)) == text
    except BadTableError:
        return


@pytest.mark.parametrize(
    "address",
    [
        "app.internal:80",
        "127.1:80",
        "::1:80",
        "[::1]",
        "[fe80::1%eth0]:80",
        "127.0.0.1",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "127.0.0.1:\u0661",
        "[127.0.0.1]:80",
        "unix:relative",
        "unix:/a\nb",
        "",
    ],
)
def test_what_is_no_address_stays_in_the_config(address: str) -> None:
    assert why_static(Upstream((Endpoint("127.0.0.1:80"), Endpoint(address))))


@pytest.mark.parametrize("address", ["127.0.0.1:80", "[2001:db8::1]:65535", "unix:/run/a.sock"])
@pytest.mark.parametrize("balance", ["round_robin", "random"])
def test_addresses_are_in_the_table(address: str, balance: str) -> None:
    assert not why_static(Upstream((Endpoint(address),), balance=Balance.decoded(balance)))


@pytest.mark.parametrize("balance", ["least_conn", "p2c", {"ring_hash": {"key": "path"}}])
def test_what_workers_would_have_to_share_stays_in_the_config(balance: object) -> None:
    assert why_static(Upstream((Endpoint("127.0.0.1:80"),), balance=Balance.decoded(balance)))


def test_limits_of_connections_stay_in_the_config() -> None:
    assert why_static(Upstream((Endpoint("127.0.0.1:80", max_connections=3),)))
    assert why_static(Upstream((Endpoint("127.0.0.1:80"),), max_connections=3))


def test_a_table_has_weights_and_backups_and_nobody_of_weight_zero() -> None:
    upstream = Upstream(
        (
            Endpoint("127.0.0.1:1", weight=3),
            Endpoint("127.0.0.1:2", weight=0),
            Endpoint("127.0.0.1:3", backup=True),
        )
    )
    plan = plan_of([entry("upstream", "app", upstream)])
    assert table_of(plan) == {"app": ("3 0 127.0.0.1:1", "1 1 127.0.0.1:3")}
    out = {"app": frozenset({"127.0.0.1:1"})}
    assert table_of(plan, out) == {"app": ("1 1 127.0.0.1:3",)}
