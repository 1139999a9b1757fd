"""Priorities say what nginx's order of locations says, or the places are refused."""

import pytest
from nginx_trees import imported

from headgate.engines.nginx.imports.objects import Table

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
