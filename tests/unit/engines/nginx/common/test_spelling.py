"""What is secret is known in the spelling that nginx's files have it in."""

import pytest

from headgate.engines.nginx.common.spelling import spellings
from headgate.features.match.query.encoded import encoded_text
from headgate.features.nginx import quoted, whole
from headgate.features.templates import escaped
from headgate.nginxtext import writer

SECRETS = [
    "dGhpcy5p+2Nx9w==",
    "a$",
    "a.b-c",
    'pa$s"w',
    "back\\slash",
    "sch\u00f6n 1",
    "two\nlines\there",
]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("known", [str, escaped])
def test_every_place_of_a_text_is_known(secret: str, known: type[str]) -> None:
    words: list[writer.Arg] = [
        writer.Literal(secret, lines=True),
        writer.Template(("Bearer ", secret, writer.Var("host")), lines=True),
    ]
    if secret.isprintable():
        words += [
            whole(quoted(secret)),
            writer.Plain(secret),
            writer.MapKey(secret),
            writer.Regex(f"~{encoded_text(secret)}(?=&)"),
        ]
    for word in words:
        text = writer.render([writer.entry(writer.Word("x"), word)]).decode()
        assert any(one in text for one in spellings([known(secret)])), word


def test_the_texts_of_a_template_are_known_without_its_variables() -> None:
    found = spellings(["key-$$1 ${client_ip}.${host} tail"])
    assert {"key-${hg_dollar}1 ", " tail"} <= found
    assert "." not in found, "it is no secret, and in every line"


def test_what_nginx_cannot_have_has_no_other_spelling() -> None:
    assert spellings(["bell\x07", "half\ud800", "x" * 5000]) >= {"bell\x07", "half\ud800"}
    assert spellings(["", "abc"]) >= {"abc"}
    assert "" not in spellings(["", "${host}"])
