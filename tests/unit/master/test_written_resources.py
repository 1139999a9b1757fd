"""A page of resources is written as the model of its OpenAPI page would write it."""

import json

from hypothesis import given
from hypothesis import strategies as st

from headgate.fleet.manifest import resource_bytes
from headgate.master.api.types import Page, Window
from headgate.master.domains.resources import store
from headgate.master.domains.resources.types import Resource, Row

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
ROWS = st.builds(
    Row,
    id=TEXTS,
    version=st.integers(1, 10**6),
    kind=st.sampled_from(["routes", "upstreams"]),
    name=TEXTS,
    path=TEXTS,
    spec=st.dictionaries(TEXTS, VALUES, max_size=4).map(lambda one: resource_bytes(one).decode()),
    fleets=st.dictionaries(TEXTS, TEXTS, max_size=2).map(json.dumps),
    set_name=TEXTS,
    changed_at=st.integers(0, 4 * 10**12),
    changed_by=TEXTS,
)


@given(st.lists(ROWS, max_size=3), st.none() | TEXTS.filter(bool))
def test_a_page_says_what_its_model_says(rows: list[Row], last: str | None) -> None:
    following = Window().following(last) if last else None
    page = Page[Resource](items=[store.shown(row) for row in rows], next=following)
    assert json.loads(store.written(rows, following)) == json.loads(page.model_dump_json())
