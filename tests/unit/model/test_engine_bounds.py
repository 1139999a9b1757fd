"""Values that no data plane can have are refused with their place, before it is asked."""

from pathlib import PurePath

import pytest
from memory_files import MemoryFiles

from headgate.compile.load import load
from headgate.compile.loaded import Loaded

BASE = """
[listeners.web]
address = "127.0.0.1:8000"
default = true
limits.head = "{listener}"
[routes.all]
upstream = "u"
[upstreams.u]
limits.head = "{upstream}"
"""


def loaded(text: str) -> Loaded:
    return load([PurePath("a.toml")], MemoryFiles({"a.toml": text}), {})


@pytest.mark.parametrize("size", ["4GiB", "1025MiB"])
@pytest.mark.parametrize(
    ("sizes", "place"),
    [
        ({"listener": "{}", "upstream": "1GiB"}, "a.toml:5:15: listeners.web.limits.head"),
        ({"listener": "1GiB", "upstream": "{}"}, "a.toml:9:15: upstreams.u.limits.head"),
    ],
)
def test_a_head_has_a_size_that_a_data_plane_can_count(
    size: str, sizes: dict[str, str], place: str
) -> None:
    text = BASE.format(**{key: value.format(size) for key, value in sizes.items()})
    (error,) = loaded(text + 'endpoints = ["127.0.0.1:1"]').errors
    said = f'{place}: "{size}" is more than a head may have; write at most "1GiB"'
    assert str(error) == said


def with_endpoints(number: int, balance: str) -> list[str]:
    """Returns the errors of an upstream with so many endpoints."""
    endpoints = ", ".join(f'"127.0.0.1:{port}"' for port in range(1, number + 1))
    text = BASE.format(listener="32KiB", upstream="32KiB")
    found = loaded(f"{text}balance = {balance}\nendpoints = [{endpoints}]")
    return [str(one) for one in found.errors]


def test_a_table_of_maglev_has_a_place_for_each_endpoint() -> None:
    balance = "{ maglev = { table_size = 251 } }"
    assert with_endpoints(251, balance) == []
    (error,) = with_endpoints(252, balance)
    assert error == (
        "a.toml:10:37: upstreams.u.balance.maglev.table_size: 251 is less than the number of "
        "endpoints, 252; write a prime above that"
    )
    assert with_endpoints(252, '"maglev"') == []
    assert with_endpoints(252, '"random"') == []
