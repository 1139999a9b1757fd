"""An imported config writes the lines of its own nginx, where the import says that it does."""

import contextlib
import re
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from access_log import AccessLog
from cut_off import heard
from imported_beside import imported, running, served, without_kept_text
from ports import free_port
from tls_authority import Authority
from waiting import DEADLINE_S, until

from headgate.testing import Upstream

CONFIG = """\
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ }}
http {{
    {format}
    access_log {folder}/told.log {name};
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} default_server;
        listen 127.0.0.1:{secure} ssl;
        server_name a.example;
        ssl_certificate {pair.cert_file};
        ssl_certificate_key {pair.key_file};
        client_max_body_size 1k;
        location / {{ proxy_pass http://{good}; }}
        location /gone/ {{ proxy_pass http://{gone}; }}
        location /down {{ proxy_pass http://{down}; }}
        location /closed {{ deny all; proxy_pass http://{good}; }}
        location /text {{ return 200 "hello"; }}
        location /moved {{ return 301 https://b.example/; }}
        location = /ping {{ access_log off; return 200 "pong"; }}
        location /quiet/ {{ access_log off; proxy_pass http://{good}; }}
    }}
    server {{
        listen 127.0.0.1:{port};
        server_name quiet.example;
        access_log off;
        location / {{ proxy_pass http://{good}; }}
        location /told {{
            access_log {folder}/told.log {name};
            proxy_pass http://{good};
        }}
    }}
    server {{
        listen 127.0.0.1:{port};
        server_name over.example;
        access_log off;
        return 410;
    }}
}}
"""
TEXT = (
    'log_format told \'$remote_addr "$request" $status "$http_referer" "$http_user_agent" \'\n'
    '\'$scheme $request_method ${request_uri}x $server_protocol "$http_host" "$http_x_plan" \'\n'
    "'$ssl_protocol $ssl_server_name 100% $request_id';"
)
JSON = (
    'log_format told escape=json \'{"status":$status,"method":"$request_method",'
    '"target":"$request_uri","host":"$http_host","client_ip":"$remote_addr"}\';'
)
PLAIN = (
    'log_format told escape=json \'{"code": $status, "how": "$request_method",\'\n'
    '\' "id": "$request_id"}\';'
)
TOLD = [
    b"GET /1 HTTP/1.1\r\nHost: a.example",
    b"GET /2?a=1&b=%22 HTTP/1.1\r\nHost: A.Example:81\r\nUser-Agent: curl/8\r\nX-Plan: gold",
    b'GET /3?"e" HTTP/1.1\r\nHost: a.example\r\nReferer: http://b.example/"x"\\\xc3\xa9\xff',
    b"GET /4 HTTP/1.0",
    b"HEAD /5 HTTP/1.1\r\nHost: unknown.example",
    b"POST /6 HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\n\r\nabc",
    b"POST /7 HTTP/1.1\r\nHost: a.example\r\nContent-Length: 2000\r\n\r\n" + b"x" * 2_000,
    b"GET /a/../8//x HTTP/1.1\r\nHost: a.example\r\nUser-Agent: " + b"long" * 200,
    b"GET /gone/9 HTTP/1.1\r\nHost: a.example",
    b"GET /gone HTTP/1.1\r\nHost: a.example",
    b"GET /down HTTP/1.1\r\nHost: a.example",
    b"GET /closed HTTP/1.1\r\nHost: a.example",
    b"GET /text HTTP/1.1\r\nHost: a.example",
    b"GET /moved HTTP/1.1\r\nHost: a.example",
    b"OPTIONS /10 HTTP/1.1\r\nHost: a.example\r\nX-Plan: a, b",
    b"GET /told HTTP/1.1\r\nHost: quiet.example",
]
SECURED = b"GET /secured HTTP/1.1\r\nHost: a.example"
NOT_TOLD = [
    b"GET /ping HTTP/1.1\r\nHost: a.example",
    b"GET /quiet/1 HTTP/1.1\r\nHost: a.example",
    b"GET /quiet HTTP/1.1\r\nHost: a.example",
    b"GET /quiet-2 HTTP/1.1\r\nHost: quiet.example",
    b"GET /quiet-3 HTTP/1.1\r\nHost: over.example",
]
LAST = b"GET /last HTTP/1.1\r\nHost: a.example"


class Site:
    """One config in a folder of its own, on ports of its own."""

    def __init__(self, folder: Path, **places: object) -> None:
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
        self.folder = folder
        self.port = free_port()
        self.secure = free_port()
        self.log = AccessLog(folder / "told.log")
        self._places = places

    def text(self, form: str, name: str) -> str:
        """The config."""
        return CONFIG.format(
            folder=self.folder,
            port=self.port,
            secure=self.secure,
            format=form,
            name=name,
            **self._places,
        )

    def ask(self, request: bytes) -> bytes:
        """The answer to a request, on a connection of its own."""
        head, _, body = request.partition(b"\r\n\r\n")
        return heard(self.port, head + b"\r\nConnection: close\r\n\r\n" + body)

    def ask_secured(self, request: bytes) -> bytes:
        """The same over TLS, in the version that both engines speak by default."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with (
            socket.create_connection(("127.0.0.1", self.secure), DEADLINE_S) as link,
            context.wrap_socket(link, server_hostname="a.example") as secured,
        ):
            secured.sendall(request + b"\r\nConnection: close\r\n\r\n")
            return b"".join(iter(lambda: secured.recv(1 << 16), b""))

    def lines(self) -> list[str]:
        """The lines of everything that is asked, in no order; ids and times are left out."""
        for request in [*TOLD, *NOT_TOLD]:
            assert self.ask(request), request
        assert self.ask_secured(SECURED)
        self.ask(LAST)
        found = self.log.texts(len(TOLD) + 2)
        assert len(found) == len(TOLD) + 2
        assert not any("quiet-" in line or "/ping" in line for line in found)
        return sorted(_without_ids(line) for line in found)

    def is_up(self) -> bool:
        """Whether somebody answers, of whom no line speaks."""
        with contextlib.suppress(OSError):
            return self.ask(NOT_TOLD[0]).endswith(b"pong")
        return False


def _without_ids(line: str) -> str:
    line = re.sub(r"\[[^]]*\]", "[time]", line)
    return re.sub(r"\b[0-9a-f]{32}\b", "(id)", line)


@pytest.fixture
def sites(folder: Path) -> Iterator[tuple[Site, Site]]:
    """The same config twice: for its own nginx, and to be imported."""
    pair = Authority(folder).issue("site", "a.example")
    with Upstream("good") as good, Upstream("gone", status=404) as gone:
        places = {
            "pair": pair,
            "good": good.address,
            "gone": gone.address,
            "down": f"127.0.0.1:{free_port()}",
        }
        yield Site(folder / "original", **places), Site(folder, **places)


@pytest.mark.usefixtures("probed")
@pytest.mark.parametrize(
    ("engine", "kept", "form"),
    [
        ("native", False, TEXT),
        ("native", False, JSON),
        ("native", False, PLAIN),
        ("nginx", False, TEXT),
        ("nginx", False, JSON),
        ("nginx", True, TEXT),
    ],
)
def test_the_lines_are_those_of_the_original(
    sites: tuple[Site, Site], engine: str, kept: bool, form: str
) -> None:
    there, here = sites
    bundle = imported(here.folder, here.text(form, "told"))
    text = (bundle / "headgate.toml").read_text() if kept else without_kept_text(bundle)
    assert "[node.access_log]" in text
    assert text.count("access_log = false") == 5
    with (
        served(there.folder, there.text(form, "told")),
        running(here.folder, text, engine),
    ):
        until(there.is_up, "the original answers")
        lines = there.lines()
        assert here.lines() == lines
        assert all("(id)" in line for line in lines) or form == JSON


@pytest.mark.usefixtures("probed")
def test_a_format_that_is_not_ours_is_written_by_the_kept_text(sites: tuple[Site, Site]) -> None:
    there, here = sites
    bundle = imported(here.folder, here.text("", "combined"))
    text = (bundle / "headgate.toml").read_text()
    assert "[node.access_log]" not in text
    with served(there.folder, there.text("", "combined")), running(here.folder, text, "nginx"):
        until(there.is_up, "the original answers")
        assert here.lines() == there.lines()


@pytest.mark.usefixtures("probed")
@pytest.mark.parametrize(("engine", "kept"), [("native", False), ("nginx", False), ("nginx", True)])
def test_lines_differ_as_the_report_says(sites: tuple[Site, Site], engine: str, kept: bool) -> None:
    there, here = sites
    form = 'log_format told \'"$request_uri" "$http_user_agent"\';'
    bundle = imported(here.folder, here.text(form, "told"))
    text = (bundle / "headgate.toml").read_text() if kept else without_kept_text(bundle)
    asked = b"GET /?token=abc HTTP/1.1\r\nHost: a.example\r\nUser-Agent:"
    with served(there.folder, there.text(form, "told")), running(here.folder, text, engine):
        until(there.is_up, "the original answers")
        for one in (there, here):
            assert one.ask(asked)
        assert there.log.texts(1) == ['"/?token=abc" ""']
        differs = '"/?token=(secret)" "-"'
        assert here.log.texts(1) == (there.log.texts(1) if kept else [differs])
