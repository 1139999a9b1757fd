"""Why a middleware refused a request: in the access log, and in the metrics."""

import http.client
from hashlib import sha256
from pathlib import Path
from typing import Final

from access_log import AccessLog
from argon2 import PasswordHasher
from ports import free_port
from running_node import RunningNode
from waiting import DEADLINE_S, until

CONFIG: Final = """
[node]
admin = "off"

[node.access_log]
format = "json"
sink = {{ path = "{log}" }}

[listeners.web]
address = "127.0.0.1:{port}"
default = true

[routes.key]
match = {{ path.prefix = "/key" }}
middlewares = [{{ api_key.keys.shop = "sha256:{key}" }}]
respond = {{ body = "in" }}

[routes.password]
match = {{ path.prefix = "/password" }}
middlewares = [{{ basic_auth.users = ["bob:{hash}"] }}]
respond = {{ body = "in" }}

[routes.token]
match = {{ path.prefix = "/token" }}
middlewares = [{{ jwt.keys = '{keys}' }}]
respond = {{ body = "in" }}

[routes.address]
match = {{ path.prefix = "/address" }}
middlewares = [{{ ip_access = {{ allow = ["192.0.2.0/24"] }} }}]
respond = {{ body = "in" }}

[routes.pages]
match = {{ path.prefix = "/pages" }}
middlewares = [{{ cors = {{ allow_origins = ["https://shop.example"] }} }}]
respond = {{ body = "in" }}

[routes.limited]
match = {{ path.prefix = "/limited" }}
middlewares = [{{ rate_limit = {{ rate = "1/h" }} }}]
respond = {{ body = "in" }}

[routes.asked]
match = {{ path.prefix = "/asked" }}
middlewares = [{{ forward_auth = {{ upstream = "auth", path = "/closed", timeout = "1m" }} }}]
respond = {{ body = "in" }}

[routes.auth]
match = {{ path.prefix = "/closed" }}
respond = {{ status = 401 }}

[upstreams.auth]
endpoints = ["127.0.0.1:{port}"]

[routes.moved]
match = {{ path.prefix = "/moved" }}
redirect = {{ path = "/elsewhere", status = 302 }}
"""

KEYS: Final = (
    '{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}'
)
BASIC: Final = {"authorization": "Basic Ym9iOndyb25n"}
PREFLIGHT: Final = {"origin": "https://evil.example", "access-control-request-method": "PUT"}
ASKED: Final[tuple[tuple[str, str, dict[str, str], int, str], ...]] = (
    ("GET", "/key", {}, 401, "api-key-missing"),
    ("GET", "/key", {"x-api-key": "guessed"}, 403, "api-key"),
    ("GET", "/password", {}, 401, "basic-auth-missing"),
    ("GET", "/password", BASIC, 401, "basic-auth-refused"),
    ("GET", "/token", {}, 401, "jwt-missing"),
    ("GET", "/token", {"authorization": "Bearer a.b.c"}, 401, "jwt-refused"),
    ("GET", "/address", {}, 403, "ip-access"),
    ("OPTIONS", "/pages", PREFLIGHT, 403, "cors-origin"),
    ("GET", "/limited", {}, 200, "-"),
    ("GET", "/limited", {}, 429, "rate-limit"),
    ("GET", "/asked", {}, 401, "auth-denied"),
    ("GET", "/moved", {}, 302, "-"),
)
"""Requests in turn, their answers, and the reasons in the log."""


def test_the_log_and_the_metrics_say_why_a_request_was_refused(folder: Path) -> None:
    port, log = free_port(), folder / "access.log"
    hashed = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash("right")
    key = sha256(b"key").hexdigest()
    text = CONFIG.format(port=port, log=log, key=key, hash=hashed, keys=KEYS)
    with RunningNode(folder, text, "--no-watch").until_ready() as node:
        link = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
        for method, path, headers, status, _ in ASKED:
            link.request(method, path, headers=headers)
            answer = link.getresponse()
            answer.read()
            assert answer.status == status, path
        link.close()
        written = AccessLog(log).lines(len(ASKED) + 1)  # and of the service that is asked
        found = [(line["target"], line["status"], line["reason"]) for line in written]
        found.remove(("/closed", 401, "-"))
        assert found == [(path, status, why) for _, path, _, status, why in ASKED]
        counted = [f'headgate_rejects_total{{reason="{why}"}}' for *_, why in ASKED if why != "-"]
        until(lambda: all(node.metric(name) == 1 for name in counted), "all counts")
