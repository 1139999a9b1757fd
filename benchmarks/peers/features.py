"""The features of a route besides forwarding: headgate's config of each that is measured."""

from typing import Final

from peers.base import Place, Setup

JWKS: Final = (
    '{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}'
)
"""The public key of RFC 8037, Appendix A."""
ISSUER: Final = "https://login.example"
SIGNED: Final = (
    "eyJ0eXAiOiJKV1QiLCJhbGciOiJFZERTQSJ9."
    "eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUiLCJzdWIiOiJib2IiLCJleHAiOjQxMDI0NDQ4MDB9."
    "Lk1Mb9HjRzumMxNhf_5-G0U2D8XuSa4LSPPx_UJVWTEA0UMJlwXpAfRWyyTXKhn4-5TFFYBI5pkNr0h36WPTBw"
)
"""Signed with it, by the issuer, for `sub` bob, until 2100."""

RATE: Final = 1_000_000
"""Requests a second of a client: far more than it makes, so that nothing is refused."""
PREFIX: Final = "/api"
"""Stripped by the rewrite of the chain."""

NGINX_GZIP_LEVEL: Final = 5
LEVELS: Final = {"gzip": 5, "br": 4, "zstd": 3}
"""Levels at which 64 KiB of JSON take at most 2 % more bytes than at nginx's level; the report has
rows for the sizes."""

_CODING_KEYS: Final = {"gzip": "gzip_level", "br": "brotli_level", "zstd": "zstd_level"}
_PERCENT: Final = {"traces-1": 1, "traces-100": 100}
_CHAIN: Final = f"""\
middlewares = [
  {{ jwt = {{ keys = '{JWKS}', issuer = "{ISSUER}", claims = {{ x-user = "sub" }} }} }},
  {{ rate_limit = {{ rate = "{RATE}/s" }} }},
  {{ rewrite = {{ strip_prefix = "{PREFIX}" }} }},
  {{ request_headers = {{ set = {{ x-edge = "bench" }}, remove = ["x-debug"] }} }},
  {{ response_headers = {{ set = {{ x-served-by = "edge" }}, remove = ["server"] }} }},
]"""
_FORWARD_AUTH: Final = 'middlewares = [{ forward_auth = { upstream = "auth", path = "/b/0" } }]'
_BANDWIDTH: Final = """\
middlewares = [{ bandwidth = { download = "10GB/s", upload = "10GB/s", key = "client_ip" } }]"""
_LIMIT: Final = f'middlewares = [{{ rate_limit = {{ rate = "{RATE}/s", key = "host" }} }}]'
_LIMIT_ACROSS: Final = _LIMIT.replace('"host"', '"host", across = "nodes"')
_RESPONSE_BUFFER: Final = 'limits = { response_buffer = "1MiB" }'
_GUARDS: Final = """\
health_check = { path = "/b/13" }
circuit_breaker = { error_percent = 50, slow_percent = 50 }
"""


def route(setup: Setup) -> list[str]:
    """Lines of the route."""
    if level := LEVELS.get(setup.feature):
        key = _CODING_KEYS[setup.feature]
        options = f'algorithms = ["{setup.feature}"], {key} = {level}'
        return [f"middlewares = [{{ compress = {{ {options} }} }}]"]
    texts = {
        "chain": _CHAIN,
        "forward-auth": _FORWARD_AUTH,
        "bandwidth": _BANDWIDTH,
        "limit": _LIMIT,
        "limit-across": _LIMIT_ACROSS,
        "response-buffer": _RESPONSE_BUFFER,
    }
    return [texts[setup.feature]] if setup.feature in texts else []


def upstream(setup: Setup) -> str:
    """Lines of the upstream."""
    return _GUARDS if setup.feature == "chain" else ""


def sections(setup: Setup, place: Place) -> str:
    """Further sections. The backend stands for the service that is asked, and for the collector."""
    backend = f"127.0.0.1:{place.backend_port}"
    if setup.feature == "forward-auth":
        pool = '{ idle_timeout = "600s" }'
        return f'[upstreams.auth]\nendpoints = ["{backend}"]\npool = {pool}\n\n'
    if setup.feature == "limit-across":
        return f'[node.limit_store]\nurl = "redis://127.0.0.1:{place.store_port}"\nnodes = 1\n\n'
    if percent := _PERCENT.get(setup.feature):
        return f'[node.tracing]\nendpoint = "http://{backend}/b/0"\nsample = {percent}\n\n'
    return ""
