"""`response_headers`: which statuses reach the plan, and what is refused with its place."""

from pathlib import PurePath

import pytest
from memory_files import MemoryFiles

from headgate._core import PlanError
from headgate.compile.load import load
from headgate.compile.loaded import Loaded
from headgate.compile.routing import Routing
from headgate.features.nodes import node_of
from headgate.plan.middleware import ResponseEdits, Step

CONFIG = """
[listeners.web]
address = "127.0.0.1:1"
default = true

[routes.a]
respond = { status = 204 }

[middlewares.m.response_headers]
"""


def loaded(edits: str) -> Loaded:
    return load([PurePath("a.toml")], MemoryFiles({"a.toml": CONFIG + edits}), {})


def edits_of(text: str) -> ResponseEdits:
    done = loaded(text)
    assert done.plan is not None, done.errors
    (node,) = [node_of(o.value) for o in done.plan.objects.values() if isinstance(o.value, Step)]
    assert isinstance(node, ResponseEdits)
    return node


def test_statuses_reach_the_plan_in_one_order() -> None:
    edits = edits_of('add = { x = "1" }\nstatuses = ["5xx", 404, "301-304", "404"]')
    assert edits.statuses == ((301, 304), (404, 404), (500, 599))
    assert edits_of('add = { x = "1" }').statuses == ()


@pytest.mark.parametrize(
    ("statuses", "place", "said"),
    [
        ("[99]", "statuses[0]", "99 is not a status"),
        ('["6xx"]', "statuses[0]", '"6xx" is not a status'),
        ('[200, "304-301"]', "statuses[1]", '"304-301" ends before it begins'),
        ("[true]", "statuses[0]", "is not a status"),
        ("[]", "statuses", ""),
    ],
)
def test_what_is_wrong_is_told_at_its_place(statuses: str, place: str, said: str) -> None:
    (wrong,) = loaded(f"statuses = {statuses}").errors
    assert wrong.path == f"middlewares.m.response_headers.{place}"
    assert said in wrong.message


@pytest.mark.parametrize("lists", [4, 5])
def test_a_chain_has_at_most_four_lists(lists: int) -> None:
    chain = "".join(
        f'[[routes.a.middlewares]]\nresponse_headers = {{ remove = ["x"], statuses = [{n}] }}\n'
        for n in range(200, 200 + lists)
    )
    done = loaded(f'add = {{ x = "1" }}\n{chain}')
    assert done.plan is not None, done.errors
    if lists > 4:
        with pytest.raises(PlanError, match="at most 4 different ones"):
            Routing(done.plan)
    else:
        Routing(done.plan)
