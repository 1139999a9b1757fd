"""Words of features that this version has not are not words of the config."""

from headgate.model import absent, schema


def test_no_word_of_an_absent_feature_is_a_key_of_the_config() -> None:
    known = {key for keys in schema.tables().values() for key in keys}
    assert len(known) > 50
    assert not known & absent.WORDS.keys()


def test_a_word_for_a_middleware_names_it() -> None:
    assert absent.feature("fault-injection") == (
        "this version has no such key here",
        "write the middleware `fault`",
    )


def test_a_feature_is_found_however_its_word_is_written() -> None:
    assert absent.feature("Limit-Req") == absent.feature("limit_req")
    assert absent.feature("upstream") is None
