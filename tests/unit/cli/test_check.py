"""`headgate check` and `headgate schema`."""

import io
import json
from pathlib import Path

from tls_authority import Authority, key_pem, new_key

from headgate.cli.check import Output, check
from headgate.cli.schema import schema
from headgate.compile.routing import shadows
from headgate.compile.sources import Given, Trust

GOOD = """
[listeners.web]
address = "127.0.0.1:8000"
default = true
[routes.all]
respond = { status = 204 }
"""


def checked(tmp_path: Path, text: str, output: Output = "text") -> tuple[int, str]:
    path = tmp_path / "a.toml"
    path.write_text(text)
    stream = io.StringIO()
    code = check([path], output, shadows=shadows, env={}, stream=stream)
    return code, stream.getvalue().replace(f"{tmp_path}/", "")


def test_a_good_config_is_0(tmp_path: Path) -> None:
    code, text = checked(tmp_path, GOOD)
    assert code == 0
    assert text.startswith("ok: 3 objects, 0 warnings, plan ")


def test_a_config_that_would_be_refused_is_78_with_every_reason(tmp_path: Path) -> None:
    code, text = checked(tmp_path, GOOD.replace("default", "defualt") + "upstream = 'x'\n")
    assert code == 78
    assert text.splitlines() == [
        'a.toml:4:1: listeners.web.defualt: the key is unknown; write "default"',
        'a.toml:5:1: routes.all: "upstream" and "respond" exclude each other; '
        'write exactly one of "upstream", "split", "respond" or "redirect"',
        'a.toml:7:12: routes.all.upstream: there is no upstream "x"; define [upstreams.x]',
        "refused: 3 errors, 0 warnings",
    ]


def test_what_only_the_core_refuses_is_said_too(tmp_path: Path) -> None:
    code, text = checked(
        tmp_path,
        GOOD + "middlewares = [{ rewrite = { regex = '/a(.*)', with = '/$2' } }]\n",
    )
    assert code == 78
    assert text.startswith("a.toml:7:")
    assert "routes.all.middlewares[0].rewrite" in text


def test_what_the_core_refuses_of_a_whole_chain_is_said_too(tmp_path: Path) -> None:
    chain = "".join(
        f'[[routes.all.middlewares]]\nresponse_headers = {{ remove = ["x"], statuses = [{n}] }}\n'
        for n in range(200, 205)
    )
    code, text = checked(tmp_path, GOOD + chain)
    assert code == 78
    first, last = text.splitlines()
    assert first.startswith("a.toml:15:")
    assert "at most 4 different ones" in first
    assert last == "refused: 1 error, 0 warnings"


def test_warnings_refuse_nothing(tmp_path: Path) -> None:
    code, text = checked(
        tmp_path, GOOD + "priority = 1\n[routes.none]\nredirect = { path = '/' }\n"
    )
    assert code == 0
    assert (
        'routes.none: the route can never match: "all" (a.toml:5:9) takes all its requests' in text
    )
    assert "1 warning," in text


def test_objects_that_are_quarantined_alone_are_counted(tmp_path: Path) -> None:
    config = tmp_path / "a.toml"
    config.write_text(GOOD + "[routes.bad]\nupstream = 'none'\n")
    stream = io.StringIO()
    given = [Given(config, Trust.QUARANTINE)]
    assert check(given, shadows=shadows, env={}, stream=stream) == 0
    assert ", 1 quarantined, plan " in stream.getvalue()


def with_pair(pair: str) -> str:
    return (
        '[listeners.web]\naddress = "127.0.0.1:8443"\nprotocol = "http"\ndefault = true\n'
        'tls = { mode = "terminate" }\n'
        '[routes.all]\nhosts = ["a.example"]\nrespond = { status = 204 }\n'
        f'[hosts."a.example"]\ncertificate = "a"\n{pair}'
    )


def test_a_key_of_another_certificate_is_refused_where_it_is_named(tmp_path: Path) -> None:
    pair = Authority(tmp_path).issue("a", "a.example")
    text = with_pair(pair.toml("a"))
    assert checked(tmp_path, text)[0] == 0
    pair.key_file.write_bytes(key_pem(new_key()))
    code, said = checked(tmp_path, text)
    assert code == 78
    first, last = said.splitlines()
    assert first.startswith("a.toml:13:1: certificates.a.key_file: ")
    assert last == "refused: 1 error, 0 warnings"


def test_a_certificate_that_cannot_be_parsed_is_refused(tmp_path: Path) -> None:
    pair = Authority(tmp_path).issue("a", "a.example")
    pair.cert_file.write_text("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n")
    code, said = checked(tmp_path, with_pair(pair.toml("a")))
    assert code == 78
    assert said.startswith("a.toml:12:1: certificates.a.cert_file: ")


def test_an_expired_certificate_is_a_warning(tmp_path: Path) -> None:
    pair = Authority(tmp_path).issue("a", "a.example", days=-3)
    code, said = checked(tmp_path, with_pair(pair.toml("a")))
    assert code == 0
    assert "a.toml:12:1: warning: certificates.a.cert_file: expired 3 days ago\n" in said
    assert "1 warning," in said


def test_json_is_an_array_of_diagnostics(tmp_path: Path) -> None:
    code, text = checked(tmp_path, "[", "json")
    (found,) = json.loads(text)
    assert code == 78
    assert (found["line"], found["severity"]) == (1, "error")
    assert json.loads(checked(tmp_path, GOOD, "json")[1]) == []


def test_the_schema_is_json_that_people_can_read() -> None:
    assert "§" in schema(), "not as \\u00a7"
    assert json.loads(schema())["properties"].keys() >= {"listeners", "routes", "upstreams"}
