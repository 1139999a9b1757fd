"""Pages of other origins: what a browser is told, over both protocols."""

import subprocess
from pathlib import Path

import pytest
from running_node import RunningNode, Upstream, config
from waiting import DEADLINE_S

CORS = """
[middlewares.pages.cors]
allow_origins = ["https://app.example.com"]
allow_methods = ["GET", "PUT"]
allow_headers = ["*"]
expose_headers = ["x-total"]
allow_credentials = true

[hosts."shop.example"]
middlewares = ["pages"]

[routes.shop]
hosts = ["shop.example"]
upstream = "app"
"""
ORIGIN = "https://app.example.com"


def heads(port: int, version: str, *arguments: str) -> list[str]:
    """The lines of the head of an answer, in lower case."""
    url = f"http://127.0.0.1:{port}/x"
    about = ("--silent", "--show-error", "--include", "--header", "host: shop.example")
    command = ("curl", version, *about, *arguments, url)
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.replace("\r", "").partition("\n\n")[0].lower().splitlines()


@pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])
def test_pages_of_an_allowed_origin_may_read_answers(
    folder: Path, port: int, one: Upstream, version: str
) -> None:
    text = config(port, one.address).replace("[listeners.web]\n", "[listeners.web]\nh2c = true\n")
    with RunningNode(folder, text + CORS).until_ready():
        answer = heads(port, version, "--header", f"origin: {ORIGIN}")
        assert " 200" in answer[0]
        allowed = {f"access-control-allow-origin: {ORIGIN}", "vary: origin"}
        assert allowed | {"access-control-allow-credentials: true"} <= set(answer)
        other = heads(port, version, "--header", "origin: https://evil.test")
        assert "vary: origin" in other
        assert not any(line.startswith("access-control-") for line in other)
        asked = ("--request", "OPTIONS", "--header", "access-control-request-method: PUT")
        names = ("--header", "access-control-request-headers: x-a, authorization")
        preflight = heads(port, version, *asked, *names, "--header", f"origin: {ORIGIN}")
        assert " 204" in preflight[0]
        assert {"access-control-allow-methods: get, put", *allowed} <= set(preflight)
        assert "access-control-allow-headers: x-a, authorization" in preflight
        refused = heads(port, version, *asked, "--header", "origin: https://evil.test")
        assert " 403" in refused[0]
