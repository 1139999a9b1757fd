"""Clients of others that speak HTTP/2, on a node from its start to its end."""

import re
import subprocess
from pathlib import Path

import pytest
from access_log import AccessLog
from ports import free_port
from running_node import RunningNode, Upstream, config
from tls_authority import Authority
from told import until_metric
from waiting import DEADLINE_S, until

ENOUGH = 3
"""Reloads under a load."""
LOG = 'access_log = {{ format = "json", sink = {{ path = "{folder}/access.log" }} }}\n'


def h2c_config(port: int, upstream: str, extra: str = "") -> str:
    """The usual config; its listener also takes HTTP/2 without TLS."""
    text = config(port, upstream, extra=extra)
    return text.replace("[listeners.web]\n", "[listeners.web]\nh2c = true\n")


def run(*command: str) -> str:
    """What a command prints; fails if the command does."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def curl(*arguments: str) -> list[str]:
    """Version, status and body of the answer that curl gets."""
    written = "%{http_version} %{http_code} "
    return run("curl", "--silent", "--show-error", "--write-out", written, *arguments).split()


def test_curl_gets_http2_by_prior_knowledge_where_the_listener_says_so(
    folder: Path, port: int, one: Upstream
) -> None:
    url = f"http://127.0.0.1:{port}/x"
    log = LOG.format(folder=folder)
    with RunningNode(folder, h2c_config(port, one.address, log)).until_ready() as node:
        assert curl("--http2-prior-knowledge", url) == ["one2", "200"]
        assert curl(url) == ["one1.1", "200"]
        # An offer to upgrade is not taken up: the request is answered over HTTP/1.1.
        assert curl("--http2", url) == ["one1.1", "200"]
        until_metric(node, "headgate_http2_connections_opened_total", 1)
        until(lambda: node.metric("headgate_http2_connections") == 0, "the end of the connection")
        lines = AccessLog(folder / "access.log").lines(3, target="/x")
        assert sorted(str(line["protocol"]) for line in lines) == ["HTTP/1.1"] * 2 + ["HTTP/2.0"]
        node.write(config(port, one.address))
        assert node.admin("POST", "/reload")[0] == 200
        refused = ["curl", "--silent", "--http2-prior-knowledge", url]
        done = subprocess.run(refused, capture_output=True, timeout=DEADLINE_S, check=False)
        assert done.returncode != 0


@pytest.mark.parametrize(
    ("policy", "version"), [("", "2"), ('alpn = ["http/1.1"]', "1.1")], ids=["default", "http1"]
)
def test_a_tls_policy_decides_whether_http2_is_offered(
    folder: Path, port: int, one: Upstream, policy: str, version: str
) -> None:
    authority = Authority(folder)
    pair = authority.issue("a", "a.example")
    secure = free_port()
    text = f"""{config(port, one.address)}
[listeners.secure]
address = "127.0.0.1:{secure}"
default = true
tls = {{ mode = "terminate", policy = "p" }}
[tls_policies.p]
{policy}
[hosts."a.example"]
certificate = "a"
{pair.toml("a")}"""
    with RunningNode(folder, text).until_ready():
        arguments = (
            "--cacert",
            str(authority.ca_file),
            "--resolve",
            f"a.example:{secure}:127.0.0.1",
            f"https://a.example:{secure}/",
        )
        assert curl("--http2", *arguments) == [f"one{version}", "200"]


def test_nghttp_gets_several_answers_on_one_connection(
    folder: Path, port: int, one: Upstream
) -> None:
    with RunningNode(folder, h2c_config(port, one.address)).until_ready() as node:
        said = run("nghttp", "--null-out", "--stat", "--multiply=5", f"http://127.0.0.1:{port}/")
        assert len(re.findall(r"(?m) 200 +3 /$", said)) == 5, said
        until_metric(node, "headgate_http2_connections_opened_total", 1)


def test_reloads_lose_no_stream(folder: Path, port: int, one: Upstream) -> None:
    text = h2c_config(port, one.address)
    with RunningNode(folder, text, "--no-watch").until_ready() as node:
        command = ["h2load", "-n", "2000", "-c", "4", "-m", "10", f"http://127.0.0.1:{port}/"]
        reloads = 0
        while reloads < ENOUGH:
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as load:
                while load.poll() is None:
                    more = f"[upstreams.more{reloads}]\nendpoints = ['127.0.0.1:1']\n"
                    node.write(f"{text}\n{more}")
                    assert node.admin("POST", "/reload")[0] == 200
                    reloads += 1
                assert load.stdout is not None
                said = load.stdout.read()
            assert "2000 succeeded, 0 failed, 0 errored, 0 timeout" in said, said
            assert "status codes: 2000 2xx" in said, said


def test_a_drain_ends_connections_without_losing_a_request(
    folder: Path, port: int, one: Upstream
) -> None:
    with RunningNode(folder, h2c_config(port, one.address)).until_ready() as node:
        slow = f"http://127.0.0.1:{port}/slow"
        command = ["curl", "--silent", "--http2-prior-knowledge", "--write-out", "%{http_code}"]
        with subprocess.Popen([*command, slow], stdout=subprocess.PIPE, text=True) as client:
            assert one.waiting.wait(DEADLINE_S)
            node.process.terminate()
            until(lambda: node.admin_status("/ready") != 200, "the beginning of the drain")
            one.release.set()
            assert client.communicate(timeout=DEADLINE_S)[0].endswith("200")
            assert client.returncode == 0
        assert node.process.wait(DEADLINE_S) == 0
