"""A config out of the environment alone."""

import pytest
from memory_files import MemoryFiles

from headgate.compile.load import load
from headgate.compile.loaded import Loaded
from headgate.model.access_log import REDACTED
from headgate.model.environment import for_engine

HIDDEN = '"redaction":{"query":["' + '","'.join(sorted(REDACTED)) + '"]}'


def loaded(**env: str) -> Loaded:
    return load([], MemoryFiles({}), env)


def canonical(result: Loaded) -> dict[str, str]:
    assert result.plan is not None, result.diagnostics
    return {key.kind: e.canonical.decode() for key, e in result.plan.objects.items()}


def test_nothing_set_is_a_config() -> None:
    result = loaded()
    assert canonical(result) == {
        "settings": f"{{{HIDDEN}}}",
        "listener": '{"addresses":["127.0.0.1:3000"],"protocol":"http"}',
        "upstream": '{"endpoints":[{"address":"127.0.0.1:8080"}]}',
        "route": '{"action":{"upstream":"default"},"hosts":["*"],"listeners":["default"],'
        '"timeouts":{"request_ms":30000}}',
    }
    assert result.node is not None
    assert (result.node.admin, result.node.metrics) == (("127.0.0.1:9090",), ())


def test_each_variable_has_its_effect() -> None:
    result = loaded(
        PROXY_LISTEN_ADDR="0.0.0.0:80",
        PROXY_UPSTREAM_ADDRS="https://a.internal, https://[::1]:8443/",
        PROXY_METRICS_ADDR="0.0.0.0:9100",
        PROXY_REQUEST_TIMEOUT_MS="0",
        RUST_LOG="hyper=debug,warn",
    )
    objects = canonical(result)
    assert '"addresses":["0.0.0.0:80"]' in objects["listener"]
    assert objects["upstream"] == (
        '{"endpoints":[{"address":"a.internal:443"},{"address":"[::1]:8443"}],"tls":{}}'
    )
    assert "timeouts" not in objects["route"]
    assert objects["settings"] == f'{{"log_level":"warn",{HIDDEN}}}'
    assert result.node is not None
    assert (result.node.admin, result.node.metrics) == ((), ("0.0.0.0:9100",))


def test_a_default_that_nginx_cannot_serve_is_none_there() -> None:
    assert "timeouts" not in canonical(loaded(**for_engine({}, "nginx")))["route"]
    asked = for_engine({"PROXY_REQUEST_TIMEOUT_MS": "5"}, "nginx")
    assert '"request_ms":5}' in canonical(loaded(**asked))["route"]
    assert for_engine({}, "native") == {}


def test_headgate_log_wins() -> None:
    assert canonical(loaded(HEADGATE_LOG="error", RUST_LOG="debug"))["settings"] == (
        f'{{"log_level":"error",{HIDDEN}}}'
    )


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PROXY_LISTEN_ADDR", "3000"),
        ("PROXY_UPSTREAM_ADDRS", "http://a:1,https://b:1"),
        ("PROXY_UPSTREAM_ADDRS", "ftp://a"),
        ("PROXY_UPSTREAM_ADDRS", ","),
        ("PROXY_METRICS_ADDR", "localhost"),
        ("PROXY_REQUEST_TIMEOUT_MS", "30s"),
        ("PROXY_REQUEST_TIMEOUT_MS", "9" * 5000),
        ("RUST_LOG", "loud"),
    ],
)
def test_a_wrong_variable_is_named(variable: str, value: str) -> None:
    result = loaded(**{variable: value})
    assert result.plan is None
    assert [d.path for d in result.errors] == [variable]
    assert str(result.errors[0]).startswith(f"environment: {variable}: ")


def test_all_wrong_variables_are_told_at_once() -> None:
    assert len(loaded(PROXY_LISTEN_ADDR="x", PROXY_METRICS_ADDR="y").errors) == 2
