"""One mistake is one error: it invents no others and hides no others."""

from pathlib import PurePath

import pytest
from memory_files import MemoryFiles

from headgate.compile.lints import lints
from headgate.compile.load import load
from headgate.kernel.diagnostics import Severity

LISTENER = '[listeners.web]\naddress = "127.0.0.1:8000"\ndefault = true\n'
UPSTREAM = '[upstreams.u]\nendpoints = ["127.0.0.1:1"]\n'
ROUTES = "".join(f'[routes.r{n}]\nhosts = ["h{n}.example"]\nupstream = "u"\n' for n in range(500))
WHOLE = LISTENER + UPSTREAM + ROUTES


def said(text: str, name: str = "a.toml", **more: str) -> list[str]:
    """Every diagnostic of a config, without its place."""
    loaded = load([PurePath(name)], MemoryFiles({name: text, **more}), {"SET": "1"})
    return [
        f"{d.path}: {d.message}; {d.allowed}"
        for d in (*loaded.diagnostics, *lints(loaded))
        if d.severity is Severity.ERROR or "include" in d.path or "match" in d.path
    ]


@pytest.mark.parametrize(
    ("right", "wrong", "expected"),
    [
        ("default = true", "defualt = true", "listeners.web.defualt"),
        ("default = true", 'default = "yes"', "listeners.web.default"),
        ("default = true", "default = true\nbacklog = 0", "listeners.web.backlog"),
        ('"127.0.0.1:8000"', '"127.0.0.1"', "listeners.web.address[0]"),
        ("[listeners.web]", "[listners.web]", "listners"),
        ("[listeners.web]", '[listeners."w b"]', 'listeners."w b"'),
        ("[upstreams.u]", "[upstream.u]", "upstream"),
        ('["127.0.0.1:1"]', '["127.0.0.1"]', "upstreams.u.endpoints[0].address"),
        (UPSTREAM, "[upstreams]\nu = 5\n", "upstreams.u"),
        (LISTENER + UPSTREAM, "upstreams = 5\n" + LISTENER, "upstreams"),
        (LISTENER, "", "routes.r0"),
        ("default = true", "", "routes.r0"),
    ],
)
def test_a_mistake_in_one_object_is_not_repeated_for_500_routes(
    right: str, wrong: str, expected: str
) -> None:
    assert not said(WHOLE)
    assert right in WHOLE
    (only,) = said(WHOLE.replace(right, wrong, 1))
    assert only.startswith(f"{expected}: ")


def test_the_error_for_a_missing_listener_counts_the_routes() -> None:
    (only,) = said(UPSTREAM + ROUTES)
    assert "no listener serves the route, nor 499 others; define [listeners.NAME]" in only


def test_a_wrong_field_hides_no_contradiction_of_its_table() -> None:
    text = WHOLE + (
        '[routes.x]\nupstream = "u"\nredirect = { scheme = "ftp" }\ntimeouts = { request = 5 }\n'
        'match = [{ path = { exact = "no", prefix = "/a" } }]\n'
        "[routes.y]\nrespond = { status = 204, body = 5 }\n"
        '[tls_policies.p]\nmin_version = "1.3"\nmax_version = "1.2"\ntickets = 1\n'
        '[node.nginx]\nmode = "guest"\nbinary = "nginx"\nsoak = 1\n'
    )
    assert [one.partition("; ")[0] for one in said(text)] == [
        'routes.x: "upstream" and "redirect" exclude each other',
        'routes.x.redirect.scheme: "ftp" is not allowed here',
        "routes.x.timeouts.request: 5 is not a duration",
        'routes.x.match[0].path: "exact" and "prefix" exclude each other',
        'routes.x.match[0].path.exact: "no" does not begin with a slash',
        "routes.y.respond.body: 5 is not text",
        "routes.y.respond.body: an answer of status 204 has no body",
        'tls_policies.p.max_version: min_version "1.3" is above max_version "1.2"',
        "tls_policies.p.tickets: 1 is not a boolean",
        'node.nginx.start: `mode = "guest"` is for an nginx that others start',
        'node.nginx.binary: "nginx" is not an absolute path',
        "node.nginx.soak: 1 is not a duration",
    ]


def test_a_misspelled_key_is_not_missing_too() -> None:
    text = WHOLE + '[certificates.c]\ncert = "x"\nkey_file = 5\n[routes.x]\nupstraem = "u"\n'
    assert [one.partition("; ")[0] for one in said(text)] == [
        "certificates.c.cert: the key is unknown",
        "certificates.c.key_file: 5 is not text",
        "routes.x.upstraem: the key is unknown",
    ]


def test_a_variable_that_is_not_set_and_a_null_are_one_error_each() -> None:
    text = WHOLE + '[routes.x]\nupstream = "u"\ntimeouts = { request = "${env:UNSET}" }\n'
    assert len(said(text)) == 1
    for name, key in (
        ("listeners.x", "address"),
        ("node", "metrics"),
        ("upstreams.x", "endpoints"),
    ):
        assert len(said(WHOLE + f'[{name}]\n{key} = "${{env:UNSET}}"\n')) == 1
    yaml = "listeners: {w: {address: '[::1]:1', default: true}}\nroutes: {a: {upstream: null}}\n"
    assert len(said(yaml, "a.yaml")) == 1
    assert len(said("node: {workers: null, log_level: 5}\n", "a.yaml")) == 2


def test_an_entry_named_empty_is_refused_by_name() -> None:
    for value in ('upstream = "u"', ""):
        (only,) = said(WHOLE + f'[routes.""]\n{value}\n')
        assert only.startswith('routes."": "" is not a name; write ')
    (only,) = said(WHOLE + '[node.""]\n')
    assert only.startswith('node."": the key is unknown; ')


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ("path = { prefix = '/api/*' }", 'write `prefix = "/api"`'),
        ("path = { exact = '/api/*' }", 'write `prefix = "/api"`'),
        ("path = { prefix = '/*' }", 'write `prefix = "/"`'),
        ("path = { exact = '/*.php' }", "write `regex`"),
        ("path = { prefix = '/items/\\d+' }", "an expression where `regex` is possible"),
        ("path = { prefix = '/{id}' }", "an expression where `regex` is possible"),
        ("path = { regex = '/api/*' }", 'write "/api/.*"'),
        ("path = { regex = '^/api' }", 'write "/api.*", or use `prefix`'),
        ("headers = { x-a = { exact = '\\d+' } }", "write `regex`"),
        ("query = { q = { prefix = 'a.*' } }", "write `regex`"),
    ],
)
def test_a_pattern_that_would_be_compared_as_plain_text_is_said(match: str, expected: str) -> None:
    text = WHOLE + f"[routes.x]\nmatch = {{ {match} }}\nupstream = 'u'\n"
    (only,) = said(text)
    assert only.startswith("routes.x.match[0].")
    assert expected in only


def test_a_warning_about_a_pattern_does_not_show_what_is_secret() -> None:
    text = WHOLE + "[routes.x]\nmatch = { path = { prefix = '${env:SET}' } }\nupstream = 'u'\n"
    files = MemoryFiles({"a.toml": text})
    (only,) = lints(load([PurePath("a.toml")], files, {"SET": "/hunter2/*"}))
    assert only.message == "the text has characters of a pattern"


@pytest.mark.parametrize("regex", ["/api/.*", "^/api/.*$", "/a/?", "/[^/]+/x", "/(?:a|b)(?:/.*)?"])
def test_an_expression_that_means_what_it_says_gives_no_warning(regex: str) -> None:
    assert not said(
        WHOLE + f"[routes.x]\nmatch = {{ path = {{ regex = '{regex}' }} }}\nupstream = 'u'\n"
    )


def test_an_include_that_matches_nothing_is_an_error_alone_and_a_warning_beside_others() -> None:
    line = 'include = ["conf.d/*.toml"]\n'
    for text in (line, line + WHOLE):
        loaded = load([PurePath("a.toml")], MemoryFiles({"a.toml": text}), {})
        (only,) = loaded.diagnostics
        assert only.message == '"conf.d/*.toml" matches no file'
        assert (only.line, only.column) == (1, 12)
        assert (loaded.plan is None) is (text == line)
        assert only.severity is (Severity.ERROR if text == line else Severity.WARNING)


def test_an_include_of_a_directory_says_the_pattern() -> None:
    (only,) = said('include = ["conf.d"]\n' + WHOLE, **{"conf.d/x.toml": ""})
    assert only.endswith('"conf.d" is a directory; write "conf.d/*.toml"')


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[routes.x]\nhosts = ["::1"]\n', '"::1" is not a host; write an IPv6 address in brackets'),
        ('[tls_policies.p]\nmin_version = "1.1"\n', 'not spoken; write "1.2" or "1.3"'),
        ("[tls_policies.p]\nmin_version = 1.2\n", 'write "1.2", in quotes'),
        ("[routes.x]\nauth = {}\n", "no such key for who may pass"),
        ("[upstreams.x]\nmax_fails = 3\n", "this version has no such key for endpoints that fail"),
        ("[rate_limits.x]\n", "this version has no such key here"),
        ('[tls_policies.p]\nalpn = ["h3"]\n', "this version has no HTTP/3"),
        ("[upstreams.x]\ngrpc = true\n", "this version has no such word for HTTP/2 and gRPC"),
        ('[routes.x]\nstrip_prefix = "/v1"\n', "it belongs in [routes.NAME.middlewares.rewrite]"),
        ("[routes.x]\nworkers = 2\n", "it belongs in [node]"),
        ('[routes.x]\ninclude = ["b"]\n', "it belongs at the top of the document"),
        ('[upstreams.x]\nendpoints = ["https://a"]\n', 'write the address alone, "a:443"; TLS is'),
        ('[listeners.x]\naddress = "localhost:80"\n', 'write "127.0.0.1:80" or "[::1]:80"'),
    ],
)
def test_a_message_says_what_to_write_instead(text: str, expected: str) -> None:
    assert expected in "\n".join(said(WHOLE + text))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('endpoints = ["127.0.0.1:1",\n  "127.0.0.1"]', (2, 3)),
        ('endpoints = ["127.0.0.1:1", { address = "x:1",\n weight = -1 }]', (2, 11)),
        ('endpoints = "127.0.0.1"', (1, 13)),
    ],
)
def test_a_mistake_in_a_list_is_found_at_its_item(text: str, place: tuple[int, int]) -> None:
    head = "upstreams.x."
    toml = "\n".join([head + text, *LISTENER.splitlines()])
    (only,) = load([PurePath("a.toml")], MemoryFiles({"a.toml": toml}), {}).diagnostics
    assert (only.line, only.column - (len(head) if place[0] == 1 else 0)) == place


@pytest.mark.parametrize("mistake", ["backlog = 0", 'tls.policy = "nowhere"', "bcklog = 5"])
def test_an_error_in_a_listener_does_not_hide_that_its_address_is_taken(mistake: str) -> None:
    other = f'[listeners.a]\naddress = ["bad", "127.0.0.1:8000"]\n{mistake}\n'
    clash = 'listeners.web.address[0]: listener "a" already has the address "127.0.0.1:8000"'
    assert f"{clash}; write another address or port" in said(WHOLE + other)


@pytest.mark.parametrize(
    ("node", "address", "by"),
    [
        ("workers = -1", "127.0.0.1:9090", "node.admin"),
        ("wrokers = 1", "127.0.0.1:9090", "node.admin"),
        ('access_log = { sink = { path = "log" } }', "127.0.0.1:9090", "node.admin"),
        ('workers = -1\nadmin = ["bad", "127.0.0.1:1"]', "127.0.0.1:1", "node.admin"),
        ('workers = -1\nmetrics = "0.0.0.0:2"', "0.0.0.0:2", "node.metrics"),
        ('user = "${env:UNSET}"\nmetrics = "0.0.0.0:2"', "0.0.0.0:2", "node.metrics"),
    ],
)
def test_an_error_in_the_node_does_not_hide_that_a_listener_has_its_address(
    node: str, address: str, by: str
) -> None:
    text = WHOLE.replace("127.0.0.1:8000", address) + f"[node]\n{node}\n"
    clash = f'listeners.web.address[0]: {by} already has the address "{address}"'
    clashes = [one for one in said(text) if "already has" in one]
    assert clashes == [f"{clash}; write another address or port"]
    assert any(one.startswith("node.") for one in said(text))


@pytest.mark.parametrize(
    ("head", "node"),
    [
        ("", "[node]\nadmni = 'off'\n"),
        ("", "[node]\nadmin = 'of'\n"),
        ("", "[node]\nadmin = '${env:UNSET}'\n"),
        ("", "[nodes]\nadmin = 'off'\n"),
        ("node = 5\n", ""),
        ("include = ['more.toml']\n", ""),
    ],
)
def test_a_node_that_cannot_be_read_takes_no_address_of_a_listener(head: str, node: str) -> None:
    text = head + WHOLE.replace("127.0.0.1:8000", "127.0.0.1:9090") + node
    (only,) = said(text, **{"more.toml": "[node\nadmin = 'off'\n"})
    assert "already has" not in only
