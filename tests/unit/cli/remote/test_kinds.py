"""Which object of a master a command means, and what it asks for it."""

from types import SimpleNamespace
from typing import cast

import pytest

from headgate.cli.remote import kinds
from headgate.cli.remote.client import Json, Master
from headgate.cli.remote.errors import MasterError

AGENT, ROUTE, USER = (kinds.kind_named(name) for name in ("agent", "routes", "users"))
ONE: Json = {"id": "a1", "name": "web"}
SAME: Json = {"id": "a2", "name": "web"}
REVISION: Json = {"id": "r9", "number": 7}


def master(*items: Json) -> Master:
    """A master with these objects, in a workspace; `asked` keeps the paths and their queries."""
    asked: list[tuple[str, dict[str, object]]] = []

    def every(path: str, **query: object) -> list[Json]:
        asked.append((path, query))
        return list(items)

    return cast(Master, SimpleNamespace(workspace="shop", all=every, asked=asked))


def asked(one: Master) -> list[tuple[str, dict[str, object]]]:
    return cast(SimpleNamespace, one).asked  # type: ignore[no-any-return]


def test_a_kind_has_two_names_and_a_wrong_one_is_told_with_what_is_meant() -> None:
    assert kinds.kind_named("agents") is AGENT
    assert {"users", "routes"} <= set(kinds.names())
    with pytest.raises(MasterError, match=r'there is no kind "agnts"; did you mean "agents"\?'):
        kinds.kind_named("agnts")
    with pytest.raises(MasterError, match='there is no kind "zzzzzzzz"; choose one of "organisa'):
        kinds.kind_named("zzzzzzzz")


def test_the_list_of_a_kind_is_the_workspaces_if_it_has_one() -> None:
    assert kinds.path_of(USER, master()) == "/users"
    assert kinds.path_of(AGENT, master()) == "/workspaces/shop/agents"
    one = {"name": "a/b", "id": "x"}
    assert kinds.path_of_one(ROUTE, one, master()) == "/workspaces/shop/resources/routes/a%2Fb"
    assert kinds.path_of_one(AGENT, one, master()) == "/workspaces/shop/agents/x"


def test_the_query_has_the_section_the_fleet_and_each_filter() -> None:
    assert kinds.query_of(USER) == {}
    assert kinds.query_of(ROUTE, "edge", ["label=a", "label=b", "q="]) == {
        "kind": "routes",
        "fleet": "edge",
        "label": ["a", "b"],
        "q": [""],
    }
    with pytest.raises(MasterError, match="users have no fleet; leave --fleet out"):
        kinds.query_of(USER, "edge")


@pytest.mark.parametrize("text", ["name", "kind=hosts", "fleet=edge", "limit=1", "cursor=x"])
def test_what_is_not_a_filter_is_refused(text: str) -> None:
    with pytest.raises(MasterError, match=f'"{text}" is not a filter of routes; write NAME=VALUE'):
        kinds.query_of(ROUTE, "edge", [text])


def test_an_object_is_found_by_its_id_its_only_name_or_its_number() -> None:
    there = master(ONE, SAME, {"id": "web", "name": "b"})
    assert kinds.find(AGENT, "a2", there) == SAME
    assert kinds.find(AGENT, "web", there) == {"id": "web", "name": "b"}, "an id goes first"
    assert kinds.find(AGENT, "7", master(ONE, REVISION)) == REVISION
    assert kinds.find(AGENT, "web", only := master(ONE), "edge", ["q=1"]) == ONE
    assert asked(only) == [("/workspaces/shop/agents", {"fleet": "edge", "q": ["1"]})]
    with pytest.raises(MasterError, match=r'no agent "db"; see `headgate get agents`'):
        kinds.find(AGENT, "db", there)
    with pytest.raises(MasterError, match='several agents "web"; name one by its id: a1, a2'):
        kinds.find(AGENT, "web", master(ONE, SAME))


def test_the_only_organisation_needs_no_name() -> None:
    assert kinds.chosen_organisation(master(ONE), "") == ONE
    there = master(ONE, SAME)
    assert kinds.chosen_organisation(there, "a2") == SAME
    assert asked(there)[0][0] == "/organisations"
    with pytest.raises(MasterError, match="--organisation; you have web, web"):
        kinds.chosen_organisation(there, "")
    with pytest.raises(MasterError, match="you have none"):
        kinds.chosen_organisation(master(), "")


def test_a_set_belongs_to_the_removal_of_kinds_that_have_sets() -> None:
    assert kinds.set_query(USER, "") == kinds.set_query(ROUTE, "") == {}
    assert kinds.set_query(ROUTE, "blue") == {"set": "blue"}
    with pytest.raises(MasterError, match="users belong to no set; leave --set out"):
        kinds.set_query(USER, "blue")


def test_what_nobody_removes_is_refused() -> None:
    kinds.removable(USER)
    with pytest.raises(MasterError, match="revisions are never removed"):
        kinds.removable(kinds.kind_named("revision"))
    with pytest.raises(MasterError, match="a rollout is not removed; see `headgate rollout abort"):
        kinds.removable(kinds.kind_named("rollout"))
