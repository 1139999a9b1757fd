"""An imported config beside the nginx it was written for: nothing that was closed is open."""

import contextlib
import http.client
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import imported_beside
import pytest
from imported_beside import running, served, without_kept_text
from ports import free_port
from running_node import HEADGATE, Upstream
from told import until_metrics_say
from waiting import DEADLINE_S, until

pytestmark = pytest.mark.usefixtures("probed")

CONFIG = """\
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ }}
http {{
    access_log off;
    map_hash_max_size 1024;
    underscores_in_headers off; ignore_invalid_headers on; proxy_ssl_server_name on;
    map_hash_bucket_size 128;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream app {{ server {app}; }}
    server {{
        listen 127.0.0.1:{port} default_server;
        server_name open.example;
        location / {{ proxy_pass http://app; }}
        location /secret/ {{ deny all; proxy_pass http://app; }}
        location /secrets {{ proxy_pass http://app; }}
        location = /only {{ deny all; proxy_pass http://app; }}
        location /near/ {{ allow 127.0.0.0/8; deny all; proxy_pass http://app; }}
        location /far/ {{ deny 127.0.0.1; proxy_pass http://app; }}
        location /inner/ {{ internal; proxy_pass http://app; }}
        location /deep/ {{
            proxy_pass http://app;
            proxy_cache_bypass $http_upgrade; proxy_no_cache $http_pragma; satisfy all;
        }}
        location /deep/closed {{ auth_basic x; auth_basic_user_file x; proxy_pass http://app; }}
        location /deep/closed/open/ {{ proxy_pass http://app; }}
        location ^~ /files/ {{ proxy_pass http://app; }}
        location ~ \\.php$ {{ deny all; proxy_pass http://app; }}
        location ~* /\\.(?!well-known) {{ return 403; }}
        location "/sp ace" {{ return 403; }}
    }}
    server {{
        listen 127.0.0.1:{port};
        server_name nested.example;
        location / {{ proxy_pass http://app; }}
        location /up/ {{
            proxy_pass http://app;
            location ~ \\.php$ {{ deny all; }}
            location = /up/only {{ deny all; }}
            location /up/deeper/ {{ proxy_pass http://app; location ~ \\.txt$ {{ deny all; }} }}
        }}
        location ~ \\.(php|txt)$ {{ proxy_pass http://app; }}
        location ~ ^/up/(only|deeper)$ {{ return 200 b; }}
    }}
    server {{
        listen 127.0.0.1:{port};
        server_name special.example;
        location / {{ return 403; }}
        location /v1/users {{ proxy_pass http://app; }}
        location = /v1/users:purge {{ deny all; }}
        location /docs/ {{ return 200 docs; }}
        location = "/docs/a;b" {{ deny all; }}
    }}
    server {{
        listen 127.0.0.1:{port};
        server_name if.example;
        if ($http_x_open = "") {{ return 403; }}
        location / {{ proxy_pass http://app; }}
        location /a {{ return 200 a; }}
    }}
    server {{
        listen 127.0.0.1:{port};
        server_name whole.example;
        return 403;
    }}
    server {{
        listen 127.0.0.1:{port};
        server_name first.example twice.example;
        location / {{ return 403; }}
        location /shared {{ return 200 first; }}
    }}
    server {{
        listen 127.0.0.1:{port};
        server_name twice.example second.example;
        location / {{ return 200 second; }}
        location /named {{ return 200 $server_name; }}
        location /more {{ return 200 more; }}
    }}
    server {{
        listen 127.0.0.1:{port};
        server_name one.example .one.example;
        location / {{ return 200 one; }}
    }}
    server {{
        listen 127.0.0.1:{port};
        server_name *.two.example;
        location / {{ return 403; }}
    }}
    server {{
        listen 127.0.0.1:{port};
        server_name .two.example;
        location / {{ return 200 two; }}
    }}
    server {{
        listen 127.0.0.1:{port};
        server_name ~^w\\d+\\.example$;
        return 403;
    }}
    server {{
        listen 127.0.0.1:{port};
        server_name tail.*;
        location / {{ return 403; }}
    }}
}}
"""

HOSTS = ["open.example", "if.example", "whole.example", "first.example", "twice.example"]
HOSTS += ["nested.example", "special.example"]
HOSTS += ["one.example", "x.one.example", "two.example", "x.two.example"]
HOSTS += ["second.example", "w1.example", "tail.example", "nobody.example"]
PATHS = ["/", "/x", "/secret", "/secret/", "/secret/x", "/secret%2Fx", "/%2Fsecret/x", "//secret/x"]
PATHS += ["/%73ecret/x", "/secrets", "/secretsx", "/secrets/x", "/only", "/only/", "/%2Fonly"]
PATHS += ["/deep", "/deep/", "/deep/x", "/deep/closed", "/deep/closedx", "/deep/closed/x"]
PATHS += ["/deep%2Fclosed", "/deep/closed/open/", "/deep/closed/open/x", "/deep/x/../closed"]
PATHS += ["/files/x.php", "/x.php", "/x.PHP", "/x.php/y", "/x.php%0A", "/x%2Ephp", "/x.ph%70"]
PATHS += [
    "/.git",
    "/a/.git/x",
    "/%2Egit",
    "/.well-known/x",
    "/files/.git",
    "/sp%20ace",
    "/sp%20acex",
]
PATHS += [
    "/a",
    "/ab",
    "/a/b",
    "/shared",
    "/more",
    "/moreover",
    "/secret;x",
    "/near/x",
    "/far/x",
    "/far",
    "/inner/x",
    "/secret%3Bx",
    "/./only",
]
PATHS += ["/up/x.php", "/up/only", "/up/deeper", "/up/deeper/x.txt", "/up/x.txt", "/x.txt"]
PATHS += [
    "/v1/users:purge",
    "/v1/users%3Apurge",
    "/v1/users:list",
    "/docs/a;b",
    "/docs/a",
    "/named",
]


class Answer(NamedTuple):
    """A status, a body and what a proxy says of it."""

    status: int
    body: bytes
    proxy_status: str

    @property
    def is_not_imported(self) -> bool:
        """Whether it is refused because its place was not imported."""
        return self.status == 503 and "not-imported" in self.proxy_status


def ask(port: int, host: str, path: str) -> Answer:
    """The answer to one request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    with contextlib.closing(connection):
        connection.putrequest("GET", path, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", host)
        connection.endheaders()
        answer = connection.getresponse()
        said = answer.headers.get("proxy-status", "")
        return Answer(answer.status, answer.read(), said)


def text_for(folder: Path, port: int, app: Upstream) -> str:
    """The config on a port."""
    return CONFIG.format(folder=folder, port=port, app=app.address)


@pytest.fixture
def app() -> Iterator[Upstream]:
    one = Upstream("app")
    yield one
    one.close()


@pytest.fixture
def original(folder: Path, app: Upstream) -> Iterator[int]:
    """The config as its own nginx serves it; the port."""
    folder = folder / "original"
    folder.mkdir()
    (folder / "x").touch()
    port = free_port()
    with served(folder, text_for(folder, port, app)):
        until(lambda: _answers(port), "nginx answers")
        yield port


def _answers(port: int) -> bool:
    try:
        ask(port, "open.example", "/")
    except OSError:
        return False
    return True


def imported(folder: Path, port: int, app: Upstream) -> Path:
    """The config on another port, imported; the folder of the bundle."""
    (folder / "x").touch()
    return imported_beside.imported(folder, text_for(folder, port, app))


def compared(original: int, port: int) -> Counter[str]:
    """Asks both everything; fails where what is refused there is answered here."""
    counts: Counter[str] = Counter()
    for host in HOSTS:
        for path in PATHS:
            there, here = ask(original, host, path), ask(port, host, path)
            if there.status >= 400:
                assert here.status >= 400, (host, path, there, here)
            if here.is_not_imported:
                counts["not imported"] += 1
            elif (there.status, there.body) == (here.status, here.body) or (
                there.status == here.status and here.status not in range(200, 300)
            ):
                counts["equal"] += 1
            else:
                counts[f"different: {host}{path}: {there.status} there, {here.status} here"] += 1
    return counts


@pytest.mark.parametrize("engine", ["native", "nginx"])
def test_what_was_closed_stays_closed(
    folder: Path, original: int, app: Upstream, engine: str
) -> None:
    port = free_port()
    bundle = imported(folder, port, app)
    with running(folder, without_kept_text(bundle), engine) as node:
        counts = compared(original, port)
        until(lambda: "not-imported" in str(node.status()["config"]), "status says what is missing")
        if engine == "native":
            until_metrics_say(node, 'reason="not-imported"')
    different = {text: count for text, count in counts.items() if text.startswith("different")}
    assert different == {}
    assert counts["equal"] > 100
    assert counts["not imported"] > 100


def test_model_and_kept_text_run_together_on_nginx(
    folder: Path, original: int, app: Upstream
) -> None:
    port = free_port()
    bundle = imported(folder, port, app)
    text = (bundle / "headgate.toml").read_text()
    with running(folder, text, "nginx") as node:
        counts = compared(original, port)
        assert counts == {"equal": len(HOSTS) * len(PATHS)}
        # The kept text is nginx's to write.
        kept = next((bundle / "verbatim").iterdir())
        kept.write_text(kept.read_text().replace("return 403;", "return 410;"))
        subprocess.run([HEADGATE, "reload", "--state-dir", node.state], check=True)
        assert ask(port, "tail.example", "/").status == 410


def test_an_edit_that_the_imported_text_does_not_have_is_refused_by_name(
    folder: Path, app: Upstream
) -> None:
    bundle = imported(folder, free_port(), app)
    text = (bundle / "headgate.toml").read_text()
    changed = text.replace("respond = { status = 200", "respond = { status = 201", 1)
    assert changed != text
    with running(folder, changed, "nginx", ready=False) as node:
        assert node.process.wait(DEADLINE_S) == 78
        assert "is not what the import made of it" in node.log.read_text()


def test_check_explain_and_the_file_itself_say_what_is_missing(folder: Path, app: Upstream) -> None:
    bundle = imported(folder, 8080, app)
    toml = bundle / "headgate.toml"
    text = toml.read_text()
    missing = text.count("\nnot_imported = ")
    assert text.splitlines()[1].startswith(f"# NOT IMPORTED: {missing} routes ")
    done = subprocess.run([HEADGATE, "check", toml], capture_output=True, text=True, check=True)
    assert f", {missing} routes not imported, " in done.stdout
    assert f"{missing} of " in done.stdout
    command = [
        str(HEADGATE),
        "explain",
        "http://open.example:8080/deep/closed",
        "--config",
        str(toml),
    ]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "refused with 503: not-imported: " in said
    assert "location /deep/closed: " in said
    assert "every user of this host may read it" in said
