"""Priorities say what nginx's order of locations says, or the places are refused."""

from pathlib import PurePath

import pytest
from memory_files import MemoryFiles
from nginx_trees import imported

from headgate.compile.load import load
from headgate.compile.routing import Question, Routing
from headgate.engines.nginx.imports.objects import Table, to_toml

FIRST = "a location holds others that nginx takes before it"


def _expression(within: str, modifier: str = "", **others: str) -> Table:
    """The route of an expression beside a location that holds these lines."""
    one = imported(
        f"server {{ location {modifier} /up/ {{ {within} }} location ~ x$ {{ return 204; }} }}",
        **others,
    )
    return next(item.table for item in one.objects if item.name == "default-x")


@pytest.mark.parametrize(
    "within",
    [
        "location ~ y { deny all; }",
        "location ~* y { deny all; }",
        "location = /up/x { deny all; }",
        "location /up/x/ { proxy_pass http://y; }",
        "location /up/d { location /up/d/e { location ~ y { deny all; } } }",
    ],
)
def test_an_expression_beside_nested_places_that_precede_it_is_refused(within: str) -> None:
    assert FIRST in str(_expression(within)["not_imported"])
    assert FIRST in str(_expression("include nested;", nested=within)["not_imported"])


@pytest.mark.parametrize(
    ("modifier", "within"),
    [
        ("", "location /up/x { proxy_pass http://y; }"),
        ("", "location ^~ /up/x/ { root /srv; }"),
        ("^~", "location ~ y { deny all; }"),
    ],
)
def test_an_expression_keeps_its_place_beside_other_nested_places(
    modifier: str, within: str
) -> None:
    assert _expression(within, modifier)["respond"] == {"status": 204}


@pytest.mark.parametrize("special", [*";:,@+!=()'", " "])
@pytest.mark.parametrize("wider", ["/v1 { proxy_pass http://x; }", "/v1/ { return 204; }"])
def test_a_path_with_special_characters_precedes_its_prefix(special: str, wider: str) -> None:
    path = f"/v1/u{special}p" if wider.startswith("/v1/ ") else f"/v1{special}p"
    one = imported(f'server {{ location {wider} location = "{path}" {{ deny all; }} }}')
    loaded = load([PurePath("x.toml")], MemoryFiles({"x.toml": to_toml(one.objects)}), {})
    assert loaded.plan is not None, loaded.diagnostics
    routing = Routing(loaded.plan)
    for asked in (path.replace(" ", "%20"), path.replace(special, f"%{ord(special):02x}")):
        found = routing.find(routing.request(Question(f"http://a{asked}")))
        assert found is not None
        route = next(item for item in one.objects if item.name == found.route)
        assert path in str(route.table["not_imported"])
