"""`headgate explain` tells what limits do, and what stands for what only a request brings."""

import io
from pathlib import Path

import pytest

from headgate.cli.explain import explain
from headgate.compile.routing import Question

CONFIG = """
[node.limit_store]
url = "redis://127.0.0.1:6379/0"
nodes = 4

[listeners.web]
address = "127.0.0.1:8000"
default = true

[middlewares.fair.rate_limit]
rate = "100/s"
burst = 20
across = "nodes"

[routes.limited]
match = [{ path = { prefix = "/limited" } }]
middlewares = [
  "fair",
  { rate_limit = { rate = "5/m", key = "all", cost = 2, dry_run = true } },
  { concurrency_limit = { requests = 8, key = ["host", "header:x-tenant"] } },
  { bandwidth = { download = "1MiB/s", upload = "500kB/s" } },
  { ip_access = { deny = ["192.0.2.0/24", "198.51.100.0/24"] } },
  { fault = { delay = "200ms", delay_percent = 10 } },
]
upstream = "app"

[middlewares.signed.jwt]
keys = '''{"keys": [{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA",
  "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}'''

[routes.owned]
match = [{ path = { prefix = "/own" } }]
middlewares = ["signed", { rewrite = { path = "/users/${jwt:sub}/x", host = "${jwt:team}.lan" } }]
upstream = "app"

[middlewares.told.jwt]
keys = '''{"keys": [{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA",
  "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}'''
claims = { x-user = "sub" }

[routes.edited]
match = [{ path = { prefix = "/edited" } }]
middlewares = [
  "told",
  { request_headers = { set = { x-up = "${upstream} by ${jwt:team}" }, remove = ["x-debug"] } },
  { request_headers = { add = { x-up = "again" }, remove = ["x-old"], set = { x-old = "new" } } },
]
upstream = "app"

[routes.split]
match = [{ path = { prefix = "/split" } }]
middlewares = [{ request_headers = { set = { x-up = "${upstream}/${sni}/${tls_version}" } } }]
split = [{ upstream = "app", weight = 1 }, { upstream = "other", weight = 1 }]

[routes.told]
match = [{ path = { prefix = "/told" } }]
respond = { body = "ask with ${request_id}", headers = { x-id = "${request_id}" } }

[routes.fixed]
match = [{ path = { prefix = "/fixed" } }]
redirect = { path = "/request-id/jwt-sub" }

[upstreams.app]
endpoints = ["127.0.0.1:9000"]

[upstreams.other]
endpoints = ["127.0.0.1:9001"]
"""


def told(folder: Path, url: str, config: str = CONFIG, **env: str) -> list[str]:
    (folder / "main.toml").write_text(config)
    out = io.StringIO()
    assert explain(Question(f"http://a.example{url}"), [folder], "text", env=env, stream=out) == 0
    return out.getvalue().splitlines()


def test_what_limits_do_is_told(tmp_path: Path) -> None:
    lines = told(tmp_path, "/limited")
    at = lines.index("middlewares, in order:")
    assert [line.split("  /")[0].strip() for line in lines[at + 1 : at + 7]] == [
        "1. fair (rate_limit): 100/s, burst 20, by client_ip, across nodes, a share each while the "
        "store is away",
        "2. rate_limit: 5/m, burst 5, 2 for each, all requests together; only counted (dry_run)",
        "3. concurrency_limit: 8 in progress, by host and header:x-tenant",
        "4. bandwidth: download 1MiB/s, burst 1MiB, upload 500000B/s, burst 500000B, "
        "for each request",
        "5. ip_access: denies 2 networks",
        "6. fault: delays 10 % by 200ms",
    ]


@pytest.mark.parametrize(
    ("url", "outcome"),
    [
        (
            "/own",
            [
                "forwarded as /users/JWT-SUB/x, Host JWT-TEAM.lan, unless jwt answers first",
                "  JWT-SUB stands for ${jwt:sub}, which only a request has",
                "  JWT-TEAM stands for ${jwt:team}, which only a request has",
            ],
        ),
        (
            "/edited",
            [
                "forwarded as /edited, unless jwt answers first",
                "  x-up: app by JWT-TEAM",
                "  x-up: again",
                "  x-old: new",
                "  x-user: JWT-SUB",
                "  without authorization, x-debug",
                "  JWT-SUB stands for ${jwt:sub}, which only a request has",
                "  JWT-TEAM stands for ${jwt:team}, which only a request has",
            ],
        ),
        (
            "/split",
            [
                "forwarded as /split",
                "  x-up: SPLIT-UPSTREAM//",
                "  SPLIT-UPSTREAM stands for ${upstream}, which only a request has",
            ],
        ),
        (
            "/told",
            [
                "answered with 200",
                "  x-id: REQUEST-ID",
                "  REQUEST-ID stands for ${request_id}, which only a request has",
            ],
        ),
        ("/fixed", ["answered with 308", "  location: http://a.example/request-id/jwt-sub"]),
        ("/limited/REQUEST-ID", ["forwarded as /limited/REQUEST-ID, unless rate_limit or "]),
    ],
)
def test_words_stand_for_what_only_a_request_has(
    tmp_path: Path, url: str, outcome: list[str]
) -> None:
    lines = told(tmp_path, url)
    assert [one for one in outcome if not any(line.startswith(one) for line in lines)] == []
    words = [line for line in lines if "stands for" in line]
    assert words == [one for one in outcome if "stands for" in one]


def test_a_secret_among_what_limits_do_is_hidden(tmp_path: Path) -> None:
    config = CONFIG.replace("header:x-tenant", "header:${env:NAME}")
    lines = told(tmp_path, "/limited", config, NAME="x-hunter2")
    assert not [line for line in lines if "hunter2" in line]
    [line] = [line for line in lines if "concurrency_limit" in line and "3." in line]
    assert "concurrency_limit: (secret)" in line
