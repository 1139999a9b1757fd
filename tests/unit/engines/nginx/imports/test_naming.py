"""Each object of an import has a name of its own."""

import pytest
from nginx_trees import imported

from headgate.engines.nginx.imports.naming import Names


@pytest.mark.parametrize(
    "servers",
    [
        "server { listen 80; listen 81; location / { return 204; } location /2 { return 204; } }",
        "server { location /a/ { proxy_pass http://x; } location /a-slash { return 204; } }",
        "server { location = /slash { return 204; } location / { return 204; }"
        " location /a/ { proxy_pass http://x; } location = /a-slash-2 { return 204; } }",
    ],
)
def test_no_two_routes_have_one_name(servers: str) -> None:
    first = "server { listen 80; server_name b; return 403; }"
    second = f"{servers[:-1]} server_name a b; }}"
    names = [item.path for item in imported(f"{first} {second}").objects]
    assert len(set(names)) == len(names)


def test_a_name_is_free_with_its_endings() -> None:
    names = Names()
    assert names.take("a-2") == "a-2"
    assert names.take("a", ("", "-2")) == "a-3"
    assert names.take("a-3-2") == "a-3-2-2"
