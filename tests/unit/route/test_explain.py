"""`headgate explain`, against files."""

import io
from pathlib import Path, PurePath

import msgspec
import pytest
from memory_files import MemoryFiles
from routed_config import CONFIG, asked, loaded, routing
from tls_authority import Authority

from headgate.cli.explain import certified, explain, question, text
from headgate.compile import explanation
from headgate.compile.answers import answer
from headgate.compile.explanation import Explanation, Known, States
from headgate.compile.load import load
from headgate.compile.routing import Question, Routing
from headgate.kernel.errors import Invalid


def explained(question: Question, states: States | None = None) -> Explanation:
    router = routing()
    return explanation.explain(
        router, router.request(question), explanation.places(loaded()), states
    )


@pytest.mark.parametrize(
    ("chain", "path", "expected"),
    [
        (
            "{ fault = { abort = 503, abort_percent = 1 } }",
            "/x",
            "forwarded as /x, unless fault answers first",
        ),
        (
            '{ redirect = { status = 302, path = "/y" } }, { fault = { abort = 503 } }',
            "/x",
            "answered with 302",
        ),
        (
            '{ fault = { delay = "1s" } }, { ip_access = { deny = ["127.0.0.1"] } }',
            "/x",
            "refused with 403: this address may not pass here, unless fault answers first",
        ),
    ],
)
def test_what_is_decided_when_a_request_comes_is_said(chain: str, path: str, expected: str) -> None:
    config = (
        CONFIG
        + f"[routes.live]\nhosts = ['live.example']\nupstream = 'api'\nmiddlewares = [{chain}]\n"
    )
    router = routing(config)
    question = router.request(asked(f"http://live.example{path}"))
    found = explanation.explain(router, question, explanation.places(loaded(config)))
    assert expected in [line.strip() for line in text(found)]


@pytest.mark.parametrize(
    ("subject", "names", "expected"),
    [
        (None, [], "refused with 403: a client certificate is needed here"),
        ("CN=eve", [], "refused with 403: this client certificate may not pass here"),
        (None, ["dns:A.staff.example"], "answered with 302"),
    ],
)
def test_the_certificate_of_a_client_decides(
    subject: str | None, names: list[str], expected: str
) -> None:
    chain = '{ client_certificate = { san = "dns:*.staff.example" } }'
    config = (
        CONFIG + "[routes.staff]\nhosts = ['staff.example']\n"
        "redirect = { path = '/${client_san}', status = 302 }\n"
        f'listeners = ["secure"]\nmiddlewares = [{chain}]\n'
        '[listeners.secure]\naddress = "127.0.0.1:8443"\n'
        'tls = { default_certificate = "main", policy = "guests" }\n'
        '[tls_policies.guests]\nclient_auth = { ca_file = "main.pem", required = false }\n'
        '[certificates.main]\ncert_file = "main.pem"\nkey_file = "main.key"\n'
    )
    router = routing(config)
    question = certified(asked("https://staff.example/"), subject, names, None)
    found = explanation.explain(
        router, router.request(question), explanation.places(loaded(config))
    )
    assert expected in [line.strip() for line in text(found)]


@pytest.mark.parametrize(
    ("url", "listener"),
    [
        ("http://a.example/", None),
        ("https://a.example:8443/", "secure"),
        ("tcp://127.0.0.1:5443", None),
        ("udp://127.0.0.1:5353", None),
    ],
)
def test_a_certificate_that_nobody_asks_for_is_refused(url: str, listener: str | None) -> None:
    config = (
        CONFIG + '[listeners.secure]\naddress = "127.0.0.1:8443"\n'
        'tls = { default_certificate = "main" }\n'
        '[certificates.main]\ncert_file = "main.pem"\nkey_file = "main.key"\n'
        '[listeners.raw]\naddress = "127.0.0.1:5443"\nprotocol = "tcp"\n'
        '[tcp_routes.raw]\nlisteners = ["raw"]\nupstream = "api"\n'
        '[listeners.names]\naddress = "127.0.0.1:5353"\nprotocol = "udp"\n'
        '[udp_routes.names]\nlisteners = ["names"]\nupstream = "api"\n'
    )
    one = msgspec.structs.replace(asked(url), listener=listener)
    for shown in (
        certified(one, "CN=alice", [], None),
        certified(one, None, ["dns:a.example"], None),
        certified(one, None, [], "ab" * 32),
    ):
        with pytest.raises(Invalid, match="no connection there has a client certificate") as wrong:
            answer(routing(config), shown, lambda *_: "")
        assert wrong.value.at[0] in ("client_subject", "client_san", "client_fingerprint")
    answer(routing(config), one, lambda *_: "")


def test_a_client_without_the_certificate_that_a_name_requires_gets_an_alert(
    tmp_path: Path,
) -> None:
    pair = Authority(tmp_path).issue("a", "a.example", "b.example")
    ca = tmp_path / "test-authority.pem"
    text_ = (
        '[listeners.web]\naddress = "127.0.0.1:8443"\ntls = { default_certificate = "a" }\n'
        '[listeners.raw]\naddress = "127.0.0.1:5443"\nprotocol = "tcp"\n'
        'tls = { default_certificate = "a", policy = "must" }\n'
        f'[tls_policies.must]\nclient_auth = {{ ca_file = "{ca}" }}\n{pair.toml("a")}'
        '[hosts."b.example"]\ntls_policy = "must"\n[routes.all]\nlisteners = ["web"]\n'
        'hosts = ["a.example", "b.example"]\nrespond = { status = 204 }\n'
        '[tcp_routes.raw]\nlisteners = ["raw"]\nupstream = "u"\n'
        '[upstreams.u]\nendpoints = ["127.0.0.1:1"]\n'
    )
    read = {str(one): one.read_bytes() for one in (ca, pair.cert_file, pair.key_file)}
    found = load([PurePath("c.toml")], MemoryFiles({"c.toml": text_, **read}), {})
    assert found.plan is not None, found.diagnostics
    router = Routing(found.plan, blobs=found.blobs)

    def told(question: Question) -> str:
        return "\n".join(text(answer(router, question, lambda *_: "")))

    alert = 'no answer: the TLS handshake ends with an alert: the name "b.example" requires a'
    bare = asked("https://b.example:8443/")
    assert alert in told(bare)
    assert "route all" in told(certified(bare, "CN=alice", [], None))
    assert "route all" in told(asked("https://a.example:8443/"))
    assert router.request(bare, came=True).refusal is None
    plain = Question("http://b.example/", listener="web")
    assert router.request(plain, came=True).refusal is None
    for one in (plain, asked("http://b.example:8443/")):
        assert "no answer: the listener expects TLS, and this is plain HTTP" in told(one)
    raw = asked("tcp://127.0.0.1:5443")
    assert "ends with an alert: this listener requires a client certificate" in told(raw)
    assert "TLS ends here" in told(certified(raw, "CN=alice", [], None))


def test_a_pattern_is_no_name_of_a_certificate() -> None:
    with pytest.raises(Invalid, match="is a pattern"):
        certified(asked("https://staff.example/"), None, ["dns:*.example"], None)


def test_the_winner_comes_with_its_conditions_middlewares_and_upstream() -> None:
    states = {"api": {"127.0.0.1:9001": Known("up", ""), "127.0.0.1:9002": Known("unresolved", "")}}
    found = explained(asked("http://api.example.com/v1/x?y=1", x_tenant="a"), states)
    won = found.won
    assert won is not None
    assert (won.route, won.match, won.host, won.place) == (
        "api",
        0,
        "api.example.com",
        "c.toml:12:3",
    )
    assert [(c.kind, c.text, c.place) for c in won.held] == [
        ("path", "path /v1/x is under /v1", "c.toml:12:14"),
        ("header", "header x-tenant is present", "c.toml:12:44"),
    ]
    assert [(s.name, s.kind) for s in won.middlewares] == [
        ("hsts", "response_headers"),
        ("", "rewrite"),
    ]
    assert (won.outcome.kind, won.outcome.target) == ("forward", "/x?y=1")
    (share,) = won.upstreams
    assert [(e.address, e.state) for e in share.endpoints] == [
        ("127.0.0.1:9001", "up"),
        ("127.0.0.1:9002", "unresolved"),
    ]
    assert found.status is None


def test_those_that_came_close_say_what_failed_and_where() -> None:
    found = explained(asked("http://api.example.com/v1"))
    assert found.won is not None
    assert found.won.route == "plain"
    assert found.status == 308
    assert dict(found.won.outcome.headers) == {
        "location": "https://api.example.com/v1",
        "strict-transport-security": "max-age=1",
    }
    (failed,) = found.near[0].failed
    assert (found.near[0].route, failed.text) == (
        "api",
        "header x-tenant is absent, it must be present",
    )
    assert failed.place == "c.toml:12:44"


def test_an_outranked_route_says_what_decided() -> None:
    near = explained(asked("http://api.example.com/v1", x_tenant="a")).near[0]
    assert near.route == "plain"
    assert near.outranked is not None
    assert near.outranked.criterion == "headers"


@pytest.mark.parametrize(
    ("url", "status", "line"),
    [
        (
            "http://api.example.com/x",
            404,
            "404: none of api.example.com matches",
        ),
        ("http://other/", 404, "404: no host fits on this listener"),
        ("http://other/%00", 400, "refused with 400: encoded NUL in the path"),
    ],
)
def test_what_no_route_takes_is_said_so(url: str, status: int, line: str) -> None:
    found = explained(Question(url))
    assert found.status == status
    assert any(line in told for told in text(found))


def test_a_split_lists_every_upstream_with_its_weight() -> None:
    won = explained(Question("http://a.shop.example/")).won
    assert won is not None
    assert [(s.name, s.weight) for s in won.upstreams] == [("api", 3), ("next", 1)]


def test_the_command_line_is_read_as_curl_would() -> None:
    found = question(["POST", "http://a/"], ["X-A: 1", "x-b:2", "X-A:3"], "::1", "web")
    assert found == Question("http://a/", "POST", {"X-A": ["1", "3"], "x-b": ["2"]}, "::1", "web")
    assert question(["http://a/"]).method == "GET"
    for words, headers in (([], []), (["a", "b", "c"], []), (["http://a/"], ["no colon"])):
        with pytest.raises(Invalid):
            question(words, headers)


def test_text_and_json_say_the_same(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text(CONFIG)
    lines, document = io.StringIO(), io.StringIO()
    asked_for = question(["http://api.example.com/status"])
    assert explain(asked_for, [config], stream=lines) == 0
    assert explain(asked_for, [config], "json", stream=document) == 0
    found = msgspec.json.decode(document.getvalue(), type=Explanation)
    assert found.won is not None
    assert found.won.match == 1
    assert lines.getvalue() == "".join(f"{line}\n" for line in text(found))
    assert "route api, match 1, host api.example.com" in lines.getvalue()


@pytest.mark.parametrize(
    ("config", "url", "code", "complaint"),
    [
        (CONFIG + "[routes.x]\n", "http://a/", 78, "c.toml:36"),
        (CONFIG, "a/", 2, "is not a URL"),
    ],
)
def test_what_cannot_be_explained_has_its_exit_code(
    tmp_path: Path, config: str, url: str, code: int, complaint: str
) -> None:
    (tmp_path / "c.toml").write_text(config)
    errors = io.StringIO()
    assert explain(Question(url), [tmp_path / "c.toml"], errors=errors) == code
    assert complaint in errors.getvalue()


TRUST = """
[listeners.web]
address = "127.0.0.1:8000"
default = true
{more}

[routes.inside]
match = [
  {{ headers = {{ x-real-ip = {{ exact = "10.0.0.1" }} }} }},
  {{ headers = {{ x_user = {{ present = true }} }} }},
  {{ client = ["192.0.2.0/24"] }},
]
respond = {{ body = "inside" }}

[routes.rest]
respond = {{ body = "${{header:x-real-ip}} ${{client_ip}}" }}
"""


def told(more: str, client: str, **headers: str | list[str]) -> Explanation:
    router = routing(TRUST.format(more=more))
    question = Question("http://a.example/", headers=headers, client=client)
    return explanation.explain(router, router.request(question), lambda *_: "")


def test_what_a_stranger_tells_about_itself_is_dropped_and_said_to_be() -> None:
    claims = {"X-Real-IP": "10.0.0.1", "X_Real_IP": "10.0.0.1", "X_User": "root", "x-own": "1"}
    found = told("", "198.51.100.7", **claims)
    assert found.won is not None
    assert (found.won.route, found.won.outcome.body) == ("rest", " 198.51.100.7")
    assert found.dropped == ["x-real-ip", "x_real_ip", "x_user"]
    assert "header lines that are dropped: x-real-ip, x_real_ip, x_user" in list(text(found))


def test_a_trusted_peer_names_the_client() -> None:
    trusting = 'client_ip = { trusted = ["10.0.0.0/8"] }'
    found = told(trusting, "10.9.9.9", **{"x-forwarded-for": "198.51.100.7, 192.0.2.9"})
    assert found.won is not None
    assert (found.won.route, found.client, found.dropped) == ("inside", "192.0.2.9", [])
    found = told(trusting, "198.51.100.7", **{"x-forwarded-for": "192.0.2.9"})
    assert found.won is not None
    assert (found.won.route, found.client) == ("rest", "198.51.100.7")


def test_underscores_are_kept_on_request_and_lookalikes_never() -> None:
    found = told("underscores_in_headers = true", "127.0.0.1", x_user="root")
    assert found.won is not None
    assert found.won.route == "inside"
    found = told("underscores_in_headers = true", "127.0.0.1", X_Forwarded_For="192.0.2.9")
    assert (found.dropped, found.client) == (["x_forwarded_for"], "127.0.0.1")


@pytest.mark.parametrize("value", ["a\r\nx-real-ip: 10.0.0.1", "a\0"])
def test_a_value_that_is_no_header_s_is_refused(value: str) -> None:
    found = told("", "127.0.0.1", **{"x-forwarded-for": value})
    assert (found.status, found.refused) == (400, "invalid byte in a header value")


@pytest.mark.parametrize(
    ("url", "method", "status", "why"),
    [
        ("http://a/", "TRACE", 405, "method not allowed here"),
        ("http://a/", "GE\r\nT", 400, "malformed request line"),
        ("http://a/", "get", 400, "invalid method"),
        ("http://a/#top", "GET", 400, "request target with a fragment"),
        ("http://a/x?#", "GET", 400, "request target with a fragment"),
        ("http://a/" + "x" * 40_000, "GET", 414, "request target too long"),
    ],
)
def test_what_the_data_plane_refuses_before_routing_is_refused(
    url: str, method: str, status: int, why: str
) -> None:
    router = routing()
    found = explanation.explain(router, router.request(Question(url, method)), lambda *_: "")
    assert (found.status, found.refused, found.won) == (status, why, None)
    assert f"refused with {status}: {why}" in list(text(found))


def test_a_raw_path_is_forwarded_with_its_query_and_encoded_as_on_the_wire() -> None:
    more = '[routes.raw]\nhosts = ["raw.example"]\nupstream = "api"\nforward_path = "raw"\n'
    router = routing(CONFIG + more)
    question = Question("http://raw.example/a/./b[1]?q={x}&y=%7b")
    found = explanation.explain(router, router.request(question), lambda *_: "")
    assert found.won is not None
    assert found.won.outcome.target == "/a/./b%5B1%5D?q=%7Bx%7D&y=%7b"
