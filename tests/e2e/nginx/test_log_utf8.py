"""The access log in JSON is UTF-8, whatever bytes clients send."""

import socket
from pathlib import Path

import pytest
from access_log import AccessLog
from peers import peer
from running_node import RunningNode, Upstream, config
from waiting import DEADLINE_S

SENT = {
    "fine": ('gr\u00fc\u00df \U0001f600 "quoted"'.encode(), 'gr\u00fc\u00df \U0001f600 "quoted"'),
    "alone": (b"a\xff\xfeb", "a\ufffd"),
    "cut": ("gr\u00fc".encode()[:-1], "gr\ufffd"),
    "long": (b"\xc0\xafx", "\ufffd"),
    "surrogate": (b"x\xed\xa0\x80", "x\ufffd"),
    "plain": (b"curl/8.5.0", "curl/8.5.0"),
}


@pytest.mark.usefixtures("probed")
def test_what_is_not_utf_8_ends_a_value(folder: Path, port: int, one: Upstream) -> None:
    peer("nginx")
    log = folder / "access.json"
    text = config(port, one.address, extra=f'access_log = {{ sink = {{ path = "{log}" }} }}')
    with RunningNode(folder, text, "--engine", "nginx").until_ready():
        for name, (raw, _) in SENT.items():
            with socket.create_connection(("127.0.0.1", port), DEADLINE_S) as link:
                head = f"GET /{name} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n"
                link.sendall(head.encode() + b"User-Agent: " + raw + b"\r\nReferer: " + raw)
                link.sendall(b"\r\n\r\n")
                assert link.recv(65_536).startswith(b"HTTP/1.1 200")
        lines = AccessLog(log).lines(len(SENT))
    found = {one["target"]: (one["user_agent"], one["referer"]) for one in lines}
    assert found == {f"/{name}": (said, said) for name, (_, said) in SENT.items()}
