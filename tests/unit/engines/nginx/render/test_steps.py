"""Our own expressions take steps in proportion to the head, on a real nginx: none lets one request
occupy a worker. PCRE counts them, interpreted, up to a limit that only the square of a head passes.
"""

import http.client
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from nginx_engine import NginxEngine
from ports import dead_port, free_port
from waiting import DEADLINE_S

SIZE = 28_000
"""Of a head; 32 KiB are the default limit."""
STEPS = 40 * SIZE

CONFIG = """
[node.access_log]
sink = {{ path = "{log}" }}
format = "combined"

[listeners.web]
address = "127.0.0.1:{port}"
default = true
client_ip = {{ trusted = ["127.0.0.1/32"] }}

[routes.cookies]
match = [{{ cookies.c = {{ exact = "v" }} }}, {{ cookies.c = {{ prefix = "w" }} }}]
respond = {{ status = 204 }}

[routes.queries]
match = [{{ query.q = {{ exact = "v" }} }}, {{ query.q = {{ prefix = "w" }} }}]
respond = {{ status = 204 }}

[routes.limited]
match = [{{ path.prefix = "/limited" }}]
middlewares = [
    {{ rate_limit = {{ rate = "100000/s", key = ["cookie:c", "path:2", "header:h"] }} }},
    {{ rewrite.strip_prefix = "/limited" }},
]
upstream = "nobody"

[upstreams]
nobody = {{ endpoints = ["127.0.0.1:{dead}"], balance.ring_hash.key = "cookie:c" }}

[routes.all]
middlewares = [{{ cors = {{ allow_origins = ["https://*.example"] }} }}]
respond = {{ status = 204 }}
"""

PIECES = [
    *(
        "%",
        "a%",
        "%41",
        "&",
        "a&",
        "=",
        "?",
        ";",
        "#",
        " ",
        ",",
        '"',
        "/",
        "//",
        "/.",
        "/a/..",
        "%2F",
    ),
    *("access_token=", "&access_token=x", "&%61ccess_token=x", "{", "a", "c=", "c", "-"),
]


class Counting(NamedTuple):
    """An nginx which counts the steps of its expressions."""

    port: int
    engine: NginxEngine


@pytest.fixture(scope="module")
def counting() -> Iterator[Counting]:
    """One for all heads."""
    port = free_port()
    with dead_port() as dead, tempfile.TemporaryDirectory(prefix="hg-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        config = folder / "headgate.toml"
        text = CONFIG.format(port=port, dead=dead, log=folder / "asked.log")
        config.write_text(text)
        engine = NginxEngine(config, folder)
        entries = 0
        for file in engine.folder.rglob("*.conf"):
            text = file.read_text().replace("pcre_jit on;", "pcre_jit off;")
            text, found = re.subn(
                r'(?m)^( +"?~\*?)', rf"\1(*LIMIT_MATCH={STEPS})(*NO_AUTO_POSSESS)", text
            )
            file.write_text(text)
            entries += found
        assert entries
        with engine:
            yield Counting(port, engine)


@pytest.mark.parametrize("piece", PIECES)
def test_a_head_takes_no_more_steps_than_some_for_each_byte(counting: Counting, piece: str) -> None:
    long = (piece * SIZE)[:SIZE]
    path = long.replace(" ", "+").replace("#", "+")
    before = len(counting.engine.error_log())
    connection = http.client.HTTPConnection("127.0.0.1", counting.port, timeout=DEADLINE_S)
    for target, headers in (
        (f"/?{path}&x=", {}),
        (f"/?{path}%=", {}),
        (f"/{path}", {}),
        (f"/limited/{path}", {}),
        ("/", {"Cookie": long}),
        ("/", {"Cookie": f"{long};c=v"}),
        ("/", {"Referer": f"http://a/?{long}&x="}),
        ("/", {"Origin": f"https://{long}.example"}),
        ("/", {"X-Forwarded-For": long}),
        ("/", {"Upgrade": "websocket", "Connection": f"{long}upgrade"}),
        ("/", {}),  # before its answer the others are logged
    ):
        connection.request("GET", target, headers=headers)
        connection.getresponse().read()
    connection.close()
    told = counting.engine.error_log()[before:]
    assert [line[:300] for line in told.splitlines() if " failed: " in line] == []
