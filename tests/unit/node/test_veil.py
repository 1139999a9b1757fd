"""What taps never show."""

import msgspec
import pytest

from headgate.kernel.redaction import Hidden
from headgate.node.admin.veil import Veil

LINE = {"host": "a.example", "target": "/a?id=1", "status": 200, "reason": "-"}


def shown(veil: Veil, **fields: object) -> dict[str, object]:
    raw = msgspec.json.encode(LINE | fields)
    return msgspec.json.decode(veil.line(raw), type=dict[str, object])


def header(veil: Veil, name: str, value: str) -> str:
    headers = msgspec.convert(shown(veil, headers=[[name, value]])["headers"], list[list[str]])
    assert headers[0][0] == name
    return headers[0][1]


def test_what_holds_no_secret_stays_as_it_is() -> None:
    assert shown(Veil(Hidden(), ()), user_agent="curl/8") == LINE | {"user_agent": "curl/8"}


@pytest.mark.parametrize(
    "name",
    [
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
        "x-api-key",
        "x-auth-token",
        "x-amz-security-token",
        "x-session",
        "x-jwt-assertion",
        "x-shop",
    ],
)
def test_headers_with_credentials_are_hidden(name: str) -> None:
    assert header(Veil(Hidden(), ["X-Shop"]), name, "hunter2") == "(secret)"


def test_other_headers_are_shown_without_secrets_in_them() -> None:
    veil = Veil(Hidden(["hunter2x"]), ())
    assert header(veil, "accept", "*/*") == "*/*"
    assert header(veil, "x-note", "it is hunter2x") == "it is (secret)"
    assert header(veil, "x-note", "Bearer abcdef") == "Bearer (secret)"


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/a?token=abc&b=1", "/a?token=(secret)&b=1"),
        ("/a?shop=abc&b=1", "/a?shop=(secret)&b=1"),
        ("/a?b=1&shop=a%26b", "/a?b=1&shop=(secret)"),
        ("/a?%53hop=a;b", "/a?%53hop=(secret)"),
        ("/a?workshop=abc", "/a?workshop=abc"),
    ],
)
def test_parameters_with_credentials_are_hidden(target: str, expected: str) -> None:
    veil = Veil(Hidden(parameters=["shop"]), ())
    assert shown(veil, target=target)["target"] == expected
    assert shown(veil, referer=f"http://a.example{target}")["referer"] == (
        f"http://a.example{expected}"
    )
