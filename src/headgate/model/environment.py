"""A config from environment variables alone, for containers without a config file."""

import re
from collections.abc import Callable, Mapping
from typing import Final, get_args

import msgspec

from headgate.features import syntax
from headgate.kernel.errors import Invalid
from headgate.kernel.nearest import listed
from headgate.model.node import LogLevel
from headgate.model.problems import Problem

NAME: Final = "environment"
"""The name of the document in diagnostics."""

LISTEN: Final = "PROXY_LISTEN_ADDR"
UPSTREAMS: Final = "PROXY_UPSTREAM_ADDRS"
METRICS: Final = "PROXY_METRICS_ADDR"
REQUEST_TIMEOUT: Final = "PROXY_REQUEST_TIMEOUT_MS"

DEFAULTS: Final[Mapping[str, str]] = {
    LISTEN: "127.0.0.1:3000",
    UPSTREAMS: "http://127.0.0.1:8080",
    METRICS: "127.0.0.1:9090",
    REQUEST_TIMEOUT: "30000",
}
"""The variables and what they are when not set; `HEADGATE_LOG` or `RUST_LOG` is `info` then."""

MEANINGS: Final[Mapping[str, str]] = {
    LISTEN: "IP address and port to listen on.",
    UPSTREAMS: "The servers, separated by commas; all `http://` or all `https://`.",
    METRICS: "IP address and port that serve metrics and health.",
    REQUEST_TIMEOUT: "How long a request may take, in milliseconds; 0 = off, which is the default "
    "where nginx serves, and all that it can do.",
}
"""The meaning of each variable."""


def for_engine(env: Mapping[str, str], engine: str) -> Mapping[str, str]:
    """Returns the variables as an engine can serve them: a default that it cannot is another."""
    if engine == "nginx" and not env.get(REQUEST_TIMEOUT):
        return {**env, REQUEST_TIMEOUT: "0"}
    return env


def document_text(env: Mapping[str, str]) -> tuple[bytes, tuple[Problem, ...]]:
    """Returns a config document in JSON, and the variables whose values are invalid.

    One listener, one upstream, one route for every host. The metrics address is one of the admin
    API's if it is loopback.
    """
    found: list[Problem] = []

    def read(variable: str, parse: Callable[[str], object]) -> object:
        try:
            return parse(env.get(variable) or DEFAULTS[variable])
        except Invalid as wrong:
            found.append(Problem((variable,), wrong.what, wrong.allowed))
            return parse(DEFAULTS[variable])

    listen = read(LISTEN, syntax.listen_address)
    upstream = read(UPSTREAMS, _upstream)
    metrics = str(read(METRICS, syntax.listen_address))
    timeout = read(REQUEST_TIMEOUT, _milliseconds)
    node: dict[str, object] = {"log_level": _log_level(env, found)}
    node |= (
        {"admin": metrics} if syntax.is_loopback(metrics) else {"admin": "off", "metrics": metrics}
    )
    config = {
        "node": node,
        "listeners": {"default": {"address": listen, "protocol": "http", "default": True}},
        "upstreams": {"default": upstream},
        "routes": {"default": {"upstream": "default", "timeouts": {"request": timeout}}},
    }
    return msgspec.json.encode(config), tuple(found)


def _upstream(text: str) -> dict[str, object]:
    addresses: list[str] = []
    schemes: set[str] = set()
    for part in (part.strip() for part in text.split(",")):
        scheme, found, rest = part.partition("://")
        if not found:
            scheme, rest = "http", part
        if scheme not in ("http", "https"):
            raise Invalid(f'"{part}" has the scheme "{scheme}"', 'write "http" or "https"')
        address = rest.removesuffix("/")
        port = "" if address.rpartition("]")[2].count(":") else (":80", ":443")[scheme == "https"]
        addresses.append(syntax.endpoint_address(address + port))
        schemes.add(scheme)
    if len(schemes) > 1:
        raise Invalid("some addresses are http and some https", "write one scheme for all of them")
    tls: dict[str, object] = {"tls": {}} if schemes == {"https"} else {}
    return {"endpoints": addresses, **tls}


def _milliseconds(text: str) -> str:
    if not re.fullmatch("[0-9]{1,30}", text.strip()):
        raise Invalid(f'"{text}" is not a time', "write whole milliseconds, 0 = off")
    return f"{int(text)}ms" if int(text) else "off"


def _log_level(env: Mapping[str, str], found: list[Problem]) -> str:
    """Returns the first plain level of `HEADGATE_LOG`, else of `RUST_LOG` (`info,hyper=warn`)."""
    variable = "HEADGATE_LOG" if env.get("HEADGATE_LOG") else "RUST_LOG"
    words = [word.strip().lower() for word in env.get(variable, "").split(",")]
    plain = next((word for word in words if word and "=" not in word), "info")
    level = {"warning": "warn", "trace": "debug", "off": "error"}.get(plain, plain)
    if level not in get_args(LogLevel):
        allowed = f"write {listed(get_args(LogLevel))}"
        found.append(Problem((variable,), f'"{plain}" is not a log level', allowed))
        return "info"
    return level
