"""Row 3: an upstream that closes as its connection is used again; nginx in the same place."""

import random
import shutil
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fault_lab import OK, Answer, Lab, Script, Seen, get, many, read_head
from ports import free_port
from waiting import until

_NGINX = """\
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log crit;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  upstream app {{ server {upstream}; keepalive 64; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
}}
"""


class Closing:
    """An upstream that closes 0-5 ms after each answer without having said so."""

    def __init__(self, lab: Lab) -> None:
        self.posts: Counter[bytes] = Counter()
        self._lock = threading.Lock()
        self.script: Script = lab.script(self._serve)

    def _serve(self, connection: socket.socket) -> None:
        head = read_head(connection)
        if not head:
            return
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"x-id:") and head.startswith(b"POST"):
                with self._lock:
                    self.posts[line] += 1
        connection.sendall(OK)
        time.sleep(random.random() * 0.005)  # noqa: S311 - a delay

    def twice(self) -> int:
        """How many POSTs came more than once."""
        return sum(count > 1 for count in self.posts.values())


def _asked(port: int) -> dict[str, list[Answer]]:
    """480 requests by eight clients, each on a connection of its own; every third is a POST."""
    answers: dict[str, list[Answer]] = {"GET": [], "POST": []}

    def work(number: int) -> None:
        for turn in range(60):
            method = "POST" if turn % 3 == 2 else "GET"
            body = b"" if method == "POST" else None
            headers = {"x-id": f"{number}-{turn}"}
            answers[method].append(get(port, method=method, body=body, headers=headers))
            time.sleep(random.random() * 0.003)  # noqa: S311 - a delay

    with many(8, work):
        pass
    return answers


def _failed(answers: list[Answer]) -> list[Answer]:
    return [one for one in answers if one.status != 200]


def closing_upstream(lab: Lab, seen: Seen) -> None:
    """Row 3: GETs are tried again; POSTs are lost where the upstream hung up too late to tell."""
    closing = Closing(lab)
    with lab.node(lab.config(closing.script.address)).until_ready():
        answers = _asked(lab.port)
    gets, posts = _failed(answers["GET"]), _failed(answers["POST"])
    seen.check(f"{sum(map(len, answers.values()))} requests; failed GETs: {len(gets)}", not gets)
    seen.check(
        f"failed POSTs: {len(posts)} ({', '.join(sorted({str(one.status) for one in posts}))})",
        all(one.status == 502 for one in posts),
    )
    twice = closing.twice()
    seen.check(f"POSTs that reached the upstream twice: {twice}", twice == 0)
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    if nginx is None:
        return
    beside = Closing(lab)
    with _running_nginx(nginx, lab.folder, beside.script.address) as port:
        answers = _asked(port)
    told = subprocess.run([nginx, "-v"], capture_output=True, text=True, check=True).stderr
    version = told.strip().rpartition("/")[2]
    gets, posts = _failed(answers["GET"]), _failed(answers["POST"])
    seen.check(
        f"nginx {version} in the same place: failed GETs {len(gets)}, POSTs {len(posts)}, "
        f"POSTs twice {beside.twice()}",
        True,
    )


@contextmanager
def _running_nginx(nginx: str, folder: Path, upstream: str) -> Iterator[int]:
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, upstream=upstream, port=port))
    process = subprocess.Popen([nginx, "-p", str(folder), "-c", str(config)])
    try:
        until(lambda: _is_open(port), "nginx")
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
