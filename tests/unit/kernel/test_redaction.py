"""What leaves its host has no secrets in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.kernel.redaction import SHOWN, Hidden, redacted, redacted_value

SECRET = "hunter2" * 2


@pytest.mark.parametrize(
    "line",
    [
        f'proxy_set_header Authorization "Bearer {SECRET}";',
        f"proxy_set_header X-Api-Key {SECRET};",
        f"proxy_pass http://ann:{SECRET}@app;",
        f"set $upstream_token {SECRET};",
        f'map "$a" $session_id {{ default {SECRET}; }}',
        f"more Basic {SECRET};",
        f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----",
        f"-----BEGIN EC PRIVATE KEY-----\n{SECRET}",
    ],
)
def test_a_line_of_a_config_shows_no_secret(line: str) -> None:
    shown = redacted(f"listen 80;\n{line}\nserver_name a;\n")
    assert SECRET not in shown
    assert SHOWN in shown
    assert shown.startswith("listen 80;\n")


@pytest.mark.parametrize(
    "value",
    [
        f"/a?access_token={SECRET}&b=1",
        f"/a?b=1&password={SECRET}",
        f"https://ann:{SECRET}@a.test/",
        f"Bearer {SECRET}",
    ],
)
def test_a_value_of_a_log_shows_no_secret(value: str) -> None:
    assert SECRET not in redacted_value(value)


def test_what_names_no_secret_stays() -> None:
    line = "location /a { proxy_pass http://app/b; }\n"
    assert redacted(line) == line
    assert redacted_value("/a?b=1&page=2") == "/a?b=1&page=2"


@given(st.text(min_size=4, max_size=20), st.text(max_size=50), st.text(max_size=50))
def test_a_known_secret_is_nowhere(secret: str, before: str, after: str) -> None:
    if secret in SHOWN:
        return
    assert secret not in redacted(before, [secret])
    text = before + secret + after
    assert redacted_value(text, [secret]).count(secret) <= text.replace(secret, SHOWN).count(secret)


@pytest.mark.parametrize(
    "part", ["a", "passw", "token", "token-", "?token", "bearer ", "://a", "%"]
)
def test_a_long_word_of_a_stranger_takes_no_long_time(part: str) -> None:
    """Time that grows with the square of the length would take this test beyond its limit."""
    text = part * (400_000 // len(part))
    assert len(redacted(text)) <= len(text) + len(SHOWN) * 60_000
    assert len(redacted_value(text)) <= len(text) + len(SHOWN) * 60_000


def test_lines_of_logs_have_the_text_of_what_the_plan_has_as_a_template() -> None:
    hidden = Hidden({"pa$$word", "plain"})
    assert hidden.value("/?k=pa$word&l=plain") == f"/?k={SHOWN}&l={SHOWN}"
    assert hidden.line("it has pa$word and pa$$word") == f"it has {SHOWN} and {SHOWN}"
