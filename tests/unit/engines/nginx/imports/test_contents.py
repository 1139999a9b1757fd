"""What is noted of locations that answer by themselves."""

import pytest
from nginx_trees import imported

INTERNAL = "`internal`: where an endpoint answers with `X-Accel-Redirect`"


def _lines(inside: str) -> list[int]:
    """The lines of the locations with that note; `inside` begins in line 3."""
    one = imported(f"server {{\n{inside}\n}}")
    return [note.line for note in one.notes if note.message.startswith(INTERNAL)]


@pytest.mark.parametrize(
    ("inside", "lines"),
    [
        ("location / { proxy_pass http://x; }\nlocation /files/ { internal; root /srv; }", [4]),
        ("location / { proxy_pass http://x; }\nlocation ~ ^/f { internal; }", [4]),
        (
            "location / { proxy_pass http://x; }\nlocation = /a { internal; proxy_pass http://x; }",
            [4],
        ),
        ("location / { return 204; }\nlocation /files/ { internal; root /srv; }", []),
        ("location / { proxy_pass http://x; }\nlocation /files/ { internal; perl x; }", []),
        (
            "error_page 502 /e;\nlocation / { proxy_pass http://x; }\nlocation = /e { internal; }",
            [],
        ),
        ("location / { proxy_pass http://x; mirror /m; }\nlocation = /m { internal; }", []),
        (
            "location / { proxy_pass http://x; auth_request /a; }\n"
            "location = /a { internal; proxy_pass http://x; }",
            [],
        ),
    ],
)
def test_internal_places_that_an_endpoint_may_lead_to_are_noted(
    inside: str, lines: list[int]
) -> None:
    assert _lines(inside) == lines
