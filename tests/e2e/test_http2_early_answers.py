"""Answers over HTTP/2 that come before their requests have ended reach real clients."""

import subprocess
from pathlib import Path

import pytest
from peers import peer
from ports import free_port
from running_node import RunningNode

CONFIG = """
[node]
admin = "off"

[listeners.web]
address = "127.0.0.1:{port}"
h2c = true
default = true

[routes.all]
respond = {{ body = "early" }}
"""
TIMES = 40


# A larger body is stopped by RST_STREAM, of which curl 7.88 may make an error.
@pytest.mark.parametrize("size", [1, 30_000])
def test_curl_gets_an_answer_that_does_not_wait_for_its_body(folder: Path, size: int) -> None:
    port = free_port()
    body = folder / "body"
    body.write_bytes(b"b" * size)
    command = [str(peer("curl")), "-sS", "--http2-prior-knowledge", "-o", "/dev/null"]
    command += ["--data-binary", f"@{body}", "-w", "%{response_code}", f"http://127.0.0.1:{port}/"]
    with RunningNode(folder, CONFIG.format(port=port)).until_ready():
        told = [
            subprocess.run(command, capture_output=True, text=True, check=False)
            for _ in range(TIMES)
        ]
    assert {(one.returncode, one.stdout, one.stderr) for one in told} == {(0, "200", "")}
