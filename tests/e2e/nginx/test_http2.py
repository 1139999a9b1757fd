"""HTTP/2 on a node that drives an nginx: by default, by policy, and refused."""

import subprocess
from pathlib import Path

import pytest
from nginx_engine import capabilities
from peers import peer
from ports import free_port
from running_node import RunningNode, Upstream, config
from tls_authority import Authority
from waiting import DEADLINE_S, until

SECURE = """
[listeners.secure]
address = "127.0.0.1:{port}"
default = true
tls = {{ policy = "p" }}

[tls_policies.p]
{policy}

[hosts."a.example"]
certificate = "a"
"""


def curl(*arguments: str) -> str:
    """Version and status of the answer that curl gets."""
    command = ["curl", "--silent", "--output", "/dev/null", *arguments]
    written = ["--write-out", "%{http_version} %{http_code}"]
    done = subprocess.run(
        [*command, *written], capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    return done.stdout


@pytest.mark.usefixtures("probed")
def test_a_policy_decides_about_http2_and_a_reload_changes_it(
    folder: Path, port: int, one: Upstream
) -> None:
    peer("nginx")
    authority, secure = Authority(folder), free_port()
    pair = authority.issue("a", "a.example").toml("a")

    def text(policy: str, plain: str = "") -> str:
        web = config(port, one.address).replace("default = true\n", f"default = true\n{plain}", 1)
        return web + SECURE.format(port=secure, policy=policy) + pair

    asked = ("--cacert", str(authority.ca_file), "--resolve", f"a.example:{secure}:127.0.0.1")
    url = f"https://a.example:{secure}/"
    with RunningNode(folder, text(""), "--engine", "nginx").until_ready() as node:
        assert curl("--http2", *asked, url) == "2 200"
        until(lambda: node.engine()["drift"] == "in sync", "the first look")
        node.write(text('alpn = ["http/1.1"]'))
        until(lambda: curl("--http2", *asked, url) == "1.1 200", "the other policy")
        node.write(text("", "h2c = true\n"))
        code, answer = node.admin("POST", "/reload")
        if capabilities().has("http2_directive"):
            assert code == 200
            plain = f"http://127.0.0.1:{port}/"
            assert curl("--http2-prior-knowledge", plain) == "2 200"
            assert curl(plain) == "1.1 200"
        else:
            assert code != 200
            assert b"listeners.web.h2c" in answer
            assert b"this nginx would take nothing but HTTP/2 there" in answer
            assert curl("--http2", *asked, url) == "1.1 200", "the last good config serves"
