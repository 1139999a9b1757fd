"""`headgate explain` tells the Host of a request where a middleware or the upstream changes it."""

import io
from pathlib import Path

import msgspec
import pytest

from headgate.cli import calls
from headgate.cli import explain as module
from headgate.cli.explain import explain, explain_running, refusal
from headgate.compile.explanation import Explanation
from headgate.compile.routing import Question

CONFIG = """
[listeners.web]
address = "127.0.0.1:8000"
default = true

[routes.kept]
hosts = ["a.example"]
upstream = "kept"

[routes.named]
hosts = ["b.example"]
middlewares = [{ rewrite = { host = "shop.internal" } }]
upstream = "kept"

[routes.given]
hosts = ["c.example"]
upstream = "given"

[routes.both]
hosts = ["d.example"]
middlewares = [{ rewrite = { host = "shop.internal" } }]
upstream = "given"

[routes.own]
hosts = ["e.example"]
upstream = "own"

[upstreams.kept]
endpoints = ["127.0.0.1:9000"]

[upstreams.given]
endpoints = ["127.0.0.1:9000"]
host_header = "api.internal:81"

[upstreams.own]
endpoints = ["127.0.0.1:9000", "unix:/run/own.sock"]
protocol = "h2c"
host_header = "endpoint"
"""


def lines_of(folder: Path, host: str, begin: str) -> list[str]:
    (folder / "main.toml").write_text(CONFIG)
    told = io.StringIO()
    asked = Question(f"http://{host}:8000/x")
    assert explain(asked, [folder], "text", env={}, stream=told) == 0
    return [one for one in told.getvalue().splitlines() if one.startswith(begin)]


@pytest.mark.parametrize(
    ("host", "sent"), [("a.example", ""), ("b.example", ", Host shop.internal")]
)
def test_a_changed_host_is_told(tmp_path: Path, host: str, sent: str) -> None:
    assert lines_of(tmp_path, host, "forwarded") == [f"forwarded as /x{sent}"]


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("a.example", "upstream kept (round_robin, http1)  "),
        ("c.example", "upstream given (round_robin, http1), Host api.internal:81  "),
        ("d.example", "upstream given (round_robin, http1)  "),
        ("e.example", "upstream own (round_robin, h2c), Host of the endpoint  "),
    ],
)
def test_the_host_that_an_upstream_gives_is_told(tmp_path: Path, host: str, said: str) -> None:
    [line] = lines_of(tmp_path, host, "upstream")
    assert line.startswith(said)


def test_the_policy_of_retries_is_told_with_its_place(tmp_path: Path) -> None:
    policy = 'retry = { on = ["503", "reset"], methods = ["GET", "POST"], hedge = {} }\n'
    case = tmp_path / "c.toml"
    for written in ("", policy):
        case.write_text(CONFIG.replace('upstream = "kept"\n', f'upstream = "kept"\n{written}', 1))
        out = io.StringIO()
        assert explain(Question(url="http://a.example/"), [case], stream=out) == 0
        lines = [line for line in out.getvalue().splitlines() if line.startswith("retries: ")]
        assert bool(lines) == bool(written)
    assert lines[0].startswith(
        "retries: up to 2 on connect-failure, refused-stream, 503, reset; methods: GET and POST; "
        "after up to 25 ms, growing to 250 ms; at most 20 % of the requests and 3/s; "
        "a second try beside the first after the route's p95  "
    )
    assert lines[0].endswith("c.toml:9:1")


@pytest.mark.parametrize(
    ("importance", "limits", "said"),
    [
        ("low", "{}", ["importance low: 503 from 75 % of a limit on"]),
        ("low", '{ strained = "off" }', ["importance low: 503 from 100 % of a limit on"]),
        ("normal", "{}", ["importance normal: 503 from 100 % of a limit on"]),
        ("high", "{}", ["importance high: 503 from 150 % of a limit on"]),
        ("high", '{ critical = "off" }', ["importance high: never refused"]),
        ("high", "", []),
    ],
)
def test_what_an_overload_refuses_is_told(
    tmp_path: Path, importance: str, limits: str, said: list[str]
) -> None:
    case = tmp_path / "c.toml"
    written = f'upstream = "kept"\nimportance = "{importance}"\n'
    text = CONFIG.replace('upstream = "kept"\n', written, 1)
    case.write_text(text + (f"[node]\nshedding = {limits}\n" if limits else ""))
    out = io.StringIO()
    assert explain(Question(url="http://a.example/"), [case], stream=out) == 0
    start = "while there is too much to do: "
    lines = [line for line in out.getvalue().splitlines() if line.startswith(start)]
    assert lines == [start + one for one in said]


def test_a_config_that_only_the_core_refuses_explains_nothing(tmp_path: Path) -> None:
    chain = "".join(
        f'[[routes.all.middlewares]]\nresponse_headers = {{ remove = ["x"], statuses = [{n}] }}\n'
        for n in range(200, 205)
    )
    case = tmp_path / "c.toml"
    case.write_text(f'{CONFIG}[routes.all]\nhosts = ["f.example"]\nupstream = "own"\n{chain}')
    out, errors = io.StringIO(), io.StringIO()
    assert explain(Question("http://a.example/"), [case], stream=out, errors=errors) == 78
    assert errors.getvalue().startswith(f"{case}:")
    assert "at most 4 different ones" in errors.getvalue()
    assert out.getvalue() == ""


def test_a_refused_request_is_told_with_its_status_or_without_an_answer() -> None:
    assert refusal(Explanation(refused="TLS alert")) == "no answer: TLS alert"
    found = Explanation(refused="a space in the path", refused_status=400)
    assert refusal(found) == "refused with 400: a space in the path"


def test_a_running_node_explains_in_either_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Explanation(refused="TLS alert", method="GET", url="https://a.example/")
    answers = [calls.Answer(200, msgspec.json.encode(found))]
    asked: list[tuple[str, str, bytes]] = []

    def call(_dir: Path, method: str, path: str, body: bytes) -> calls.Answer:
        asked.append((method, path, body))
        return answers[-1]

    monkeypatch.setattr(module, "call", call)
    question = Question("https://a.example/")
    out, errors = io.StringIO(), io.StringIO()

    def code(output: module.Output = "text") -> int:
        return explain_running(question, tmp_path, output, stream=out, errors=errors)

    assert code() == 0
    assert "no answer: TLS alert\n" in out.getvalue()
    assert code("json") == 0
    assert msgspec.json.decode(out.getvalue().splitlines()[-1], type=Explanation) == found
    assert asked[0] == ("POST", "/explain", msgspec.json.encode(question))
    assert errors.getvalue() == ""
    answers.append(calls.Answer(400, b'{"error": "no such listener"}'))
    assert code() == 2
    answers.append(calls.Answer(503, b" later\n"))
    assert code() == 1
    assert errors.getvalue().splitlines() == [
        "the node answered 400: no such listener",
        "the node answered 503: later",
    ]
