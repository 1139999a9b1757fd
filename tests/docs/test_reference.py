"""What the reference lists by hand is what there is."""

import re
from pathlib import Path
from typing import cast

from starlette.routing import Route

from headgate.node.admin.app import admin_app, metrics_app
from headgate.node.state import Node

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def test_the_admin_page_lists_the_requests_that_are_answered() -> None:
    page = (REFERENCE / "admin-api.md").read_text()
    listed = set(re.findall(r"(?m)^\| `([A-Z]+ /\w+)` \|", page))
    routes = [one for one in admin_app(cast(Node, _Node())).routes if isinstance(one, Route)]
    answered = {
        f"{method} {route.path}"
        for route in routes
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert listed == answered


def test_the_admin_page_lists_what_an_address_answers_without_a_token() -> None:
    routes = [one for one in metrics_app(cast(Node, _Node())).routes if isinstance(one, Route)]
    said = ", ".join(f"`{route.path}`" for route in routes)
    page = (REFERENCE / "admin-api.md").read_text()
    assert page.count(said) == 2


class _Node:
    """As much of a node as the routes need while nobody asks."""

    class options:  # noqa: N801 - an attribute of a node
        admin_hosts: list[str] = []  # noqa: RUF012
