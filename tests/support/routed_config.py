"""A config to route by, and how to ask about it."""

from pathlib import PurePath

from memory_files import MemoryFiles

from headgate.compile.load import load
from headgate.compile.loaded import Loaded
from headgate.compile.routing import Question, Routing

CONFIG = """\
[listeners.web]
address = "127.0.0.1:8000"
protocol = "http"
default = true

[hosts."api.example.com"]
middlewares = ["hsts"]

[routes.api]
hosts = ["api.example.com"]
match = [
  { path = { prefix = "/v1" }, headers = { x-tenant = { present = true } } },
  { path = { exact = "/status" } },
]
middlewares = [{ rewrite = { strip_prefix = "/v1" } }]
upstream = "api"

[routes.plain]
hosts = ["api.example.com"]
match = [{ path = { prefix = "/v1" } }]
redirect = { status = 308, scheme = "https" }

[routes.shop]
hosts = ["*.shop.example"]
split = [{ upstream = "api", weight = 3 }, { upstream = "next", weight = 1 }]

[middlewares.hsts]
response_headers = { set = { strict-transport-security = "max-age=1" } }

[upstreams.api]
balance = "least_conn"
endpoints = [{ address = "127.0.0.1:9001", weight = 3 }, "127.0.0.1:9002"]

[upstreams.next]
endpoints = ["127.0.0.1:9003"]
"""


_PEM = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"
_KEY = "-----BEGIN PRIVATE KEY-----\nMA==\n-----END PRIVATE KEY-----\n"


def loaded(text: str = CONFIG) -> Loaded:
    """The config of a text, named `c.toml`; it must be right."""
    files = MemoryFiles({"c.toml": text, "main.pem": _PEM, "main.key": _KEY})
    found = load([PurePath("c.toml")], files, {})
    assert found.plan is not None, found.diagnostics
    return found


def routing(text: str = CONFIG) -> Routing:
    """The routes of a text."""
    plan = loaded(text).plan
    assert plan is not None
    return Routing(plan)


def asked(url: str, method: str = "GET", **headers: str) -> Question:
    """A question; `_` in names of headers is `-`."""
    return Question(url, method, {name.replace("_", "-"): v for name, v in headers.items()})
