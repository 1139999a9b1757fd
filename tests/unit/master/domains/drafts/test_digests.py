"""The digests of what nodes get."""

from headgate.fleet.manifest import manifest_of
from headgate.master.domains.drafts.digests import digest, digest_of, shown_digest

ROUTE = {"routes/a.json": b"{}"}
WITH = ROUTE | {"secrets/word": b"one"}
OTHER = ROUTE | {"secrets/word": b"two"}


def test_contents_and_the_manifest_that_lists_them_have_one_digest() -> None:
    assert digest_of(manifest_of("f" * 26, 1, WITH).canonical()) == digest(WITH)
    assert digest(WITH) != digest(OTHER)


def test_what_is_shown_tells_nothing_of_the_content_of_a_secret_file() -> None:
    assert shown_digest(WITH) == shown_digest(OTHER)
    assert shown_digest(WITH) != shown_digest(ROUTE)
    assert shown_digest(ROUTE) == digest(ROUTE)
    assert shown_digest({"routes/a.json": b'{"a":1}'}) != shown_digest(ROUTE)
