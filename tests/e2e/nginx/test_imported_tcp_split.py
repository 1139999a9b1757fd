"""An imported `split_clients` of `stream` divides connections as its own nginx does."""

from collections import Counter
from pathlib import Path

import pytest
from chance import likely
from imported_beside import imported, running, served, without_kept_text
from nginx_engine import stream_capabilities
from ports import free_ports
from tcp_echo import Echo, talk
from waiting import until

CONFIG = """\
{load}
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ }}
stream {{
    proxy_half_close on;
    upstream a {{ server 127.0.0.1:{a}; }}
    split_clients $remote_addr $kept {{ 25% a; * 127.0.0.1:{b}; }}
    split_clients "$remote_addr $remote_port" $drawn {{ 50% a; * 127.0.0.1:{b}; }}
    split_clients $server_port $other {{ 50% a; * 127.0.0.1:{b}; }}
    server {{ listen 127.0.0.1:{first}; proxy_pass $kept; }}
    server {{ listen 127.0.0.1:{second}; proxy_pass $drawn; }}
    server {{ listen 127.0.0.1:{third}; proxy_pass $other; }}
}}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{ listen 127.0.0.1:{web}; location / {{ return 204; }} }}
}}
"""
CLIENTS = [f"127.0.{n}.{n}" for n in range(1, 101)]


def said(port: int, source: str = "127.0.0.1") -> str:
    """Which server answers; empty where nobody does."""
    try:
        return talk(port, b"x", source=source).decode()
    except (OSError, AssertionError):
        return ""


@pytest.mark.usefixtures("probed")
def test_each_branch_has_its_share(folder: Path) -> None:
    able = stream_capabilities()
    load = f"load_module {able.modules['stream']};" if "stream" in able.modules else ""
    first, second, third, web = free_ports(4)
    a, b = Echo(b"a"), Echo(b"b")
    places = {"first": first, "second": second, "third": third, "web": web}
    text = CONFIG.format(load=load, folder=folder, a=a.port, b=b.port, **places)

    def check(engine: str) -> None:
        kept = [said(first, client) for client in CLIENTS]
        assert kept == [said(first, client) for client in CLIENTS], engine
        assert set(kept) == {"a", "b"} and 8 <= Counter(kept)["a"] <= 45, engine
        drawn = Counter(said(second) for _ in CLIENTS)
        assert set(drawn) == {"a", "b"} and drawn["a"] in likely(len(CLIENTS), 1 / 2), engine

    try:
        with served(folder, text):
            until(lambda: said(first) != "", "the original")
            check("original")
            other = said(third)
        bundle = imported(folder, text)
        for engine, config, kept in [
            ("native", without_kept_text(bundle), ""),
            ("nginx", without_kept_text(bundle), ""),
            ("nginx", (bundle / "headgate.toml").read_text(), other),
        ]:
            with running(folder, config, engine):
                check(engine)
                assert said(third) == kept, engine
    finally:
        a.close()
        b.close()
