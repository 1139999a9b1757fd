"""Envoy's form of the chain: a token that is remembered, a limit for each client, header edits, a
rewrite, active checks and outlier detection."""

from peers.features import ISSUER, JWKS, PREFIX, RATE

_TYPE = "type.googleapis.com/envoy.extensions.filters.http."
_REMOVED = {"request": "x-debug", "response": "server"}

Json = dict[str, object]


def filters() -> list[Json]:
    """Before the router, in the order of ours."""
    return [
        {"name": "envoy.filters.http.jwt_authn", "typed_config": _token()},
        {"name": "envoy.filters.http.local_ratelimit", "typed_config": _limit()},
    ]


def route(match: Json, action: Json) -> Json:
    """A route with the edits and the limit's key."""
    by_client: Json = {"actions": [{"remote_address": {}}]}
    return {
        "match": match | {"prefix": f"{PREFIX}/"},
        "route": action | {"prefix_rewrite": "/", "rate_limits": [by_client]},
        "request_headers_to_add": [_set("x-edge", "bench")],
        "request_headers_to_remove": [_REMOVED["request"]],
        "response_headers_to_add": [_set("x-served-by", "edge")],
        "response_headers_to_remove": [_REMOVED["response"]],
    }


def guards() -> Json:
    """Of the cluster."""
    check: Json = {
        "timeout": "5s",
        "interval": "10s",
        "unhealthy_threshold": 3,
        "healthy_threshold": 2,
        "http_health_check": {"path": "/b/13"},
    }
    return {"health_checks": [check], "outlier_detection": {"consecutive_5xx": 5}}


def _set(name: str, value: str) -> Json:
    return {
        "header": {"key": name, "value": value},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    }


def _token() -> Json:
    provider: Json = {
        "issuer": ISSUER,
        "local_jwks": {"inline_string": JWKS},
        "forward": False,
        "claim_to_headers": [{"header_name": "x-user", "claim_name": "sub"}],
        "jwt_cache_config": {"jwt_cache_size": 10_000},
    }
    rule: Json = {"match": {"prefix": "/"}, "requires": {"provider_name": "login"}}
    return {
        "@type": _TYPE + "jwt_authn.v3.JwtAuthentication",
        "providers": {"login": provider},
        "rules": [rule],
    }


def _limit() -> Json:
    bucket: Json = {"max_tokens": RATE, "tokens_per_fill": RATE, "fill_interval": "1s"}
    always: Json = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    each: Json = {"entries": [{"key": "remote_address"}], "token_bucket": bucket}
    return {
        "@type": _TYPE + "local_ratelimit.v3.LocalRateLimit",
        "stat_prefix": "limit",
        "token_bucket": bucket,
        "filter_enabled": always,
        "filter_enforced": always,
        "descriptors": [each],
    }
