"""Header lines of an imported nginx: what it sends twice, and what a redirect to a slash has."""

from nginx_trees import imported

from headgate.engines.nginx.imports.imported import Imported
from headgate.engines.nginx.imports.objects import Table, items_in


def routes(one: Imported) -> list[Table]:
    return [item.table for item in one.objects if item.section == "routes"]


def test_a_header_that_is_set_twice_keeps_its_location_closed_and_says_why() -> None:
    one = imported(
        "server { location / { proxy_pass http://a;"
        " proxy_set_header X-A 1; proxy_set_header x-a 2; } }"
    )
    (route,) = routes(one)
    assert "`proxy_set_header x-a` comes twice: nginx sends both" in str(route["not_imported"])


def test_a_redirect_to_a_slash_has_the_headers_of_its_location() -> None:
    one = imported(
        "server { location /d/ { proxy_pass http://a; proxy_hide_header X-C;"
        " add_header X-A 1 always; add_header X-B 2; add_header X-C 3 always; } }"
    )
    (redirected,) = [table for table in routes(one) if "redirect" in table]
    assert redirected["redirect"] == {"status": 301, "path": "/d/"}
    added = {"x-a": "1", "x-b": "2", "x-c": "3"}
    assert redirected["middlewares"] == [{"response_headers": {"add": added}}]


def test_a_header_without_always_is_of_answers_without_errors() -> None:
    one = imported(
        "server { location / { proxy_pass http://a; proxy_hide_header X-B; proxy_hide_header X-C;"
        " add_header X-A 1; add_header X-B 2; add_header X-C 3 always; } }"
    )
    (route,) = routes(one)
    statuses = [200, 201, 204, 206, "301-304", "307-308"]
    assert list(items_in(route, "middlewares"))[1:] == [
        {"response_headers": {"add": {"x-a": "1", "x-b": "2"}, "statuses": statuses}},
        {"response_headers": {"set": {"x-c": "3"}, "remove": ["x-b"]}},
    ]
    assert not [fate.why for fate in one.fates if fate.why]
