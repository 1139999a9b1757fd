"""A join token: a secret and the pin of the fleet's CA."""

import pytest

from headgate.fleet.join_token import JoinToken, parse_join_token
from headgate.kernel.errors import Invalid

PIN = "sha256:" + "ab" * 32


@pytest.mark.parametrize("token", [JoinToken("s3cret-s3cret", PIN), JoinToken("s3cret_s3cret")])
def test_a_token_is_read_as_it_was_written(token: JoinToken) -> None:
    assert parse_join_token(f" {token.text()}\n") == token


@pytest.mark.parametrize(
    "text", ["", "short", "with space-in-it", "s3cret-s3cret.", f"s3cret-s3cret.{PIN[:-1]}"]
)
def test_a_damaged_token_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(Invalid, match="copy the whole token") as refused:
        parse_join_token(text)
    assert not text or text not in str(refused.value)


def test_a_token_does_not_show_its_secret() -> None:
    assert "s3cret" not in repr(JoinToken("s3cret-s3cret", PIN))
