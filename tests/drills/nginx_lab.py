"""A stock Debian nginx with two sites of its own, serving traffic; run within fresh namespaces.

    unshare --mount --net --pid --fork --mount-proc python tests/drills/nginx_lab.py SCRATCH

Creates SCRATCH/ready once traffic flows, keeps the number of requests sent in SCRATCH/requests,
ends when SCRATCH/stop appears.
"""

import contextlib
import http.client
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Final

import drill_parts  # noqa: F401 - puts tests/support on the path
from running_node import Upstream
from tls_authority import Authority

AGENT: Final = "drill-traffic"
FOLDERS: Final = ("/etc/nginx", "/var/log/nginx", "/var/lib/nginx", "/run", "/var/www")
"""Everything that an nginx of Debian writes to or reads its config from."""

MISSING: Final = "/static/none"
"""Asked for and not there."""

PORTS: Final = (9001, 9002)
_PAUSE_S: Final = 0.02

_PROXIED: Final = """
log_format timed '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent '
                 '"$http_referer" "$http_user_agent" $request_time $upstream_addr '
                 '$upstream_header_time $upstream_status $host';
upstream shop_backends {
    least_conn;
    server 127.0.0.1:9001 weight=2;
    server 127.0.0.1:9002;
}
server {
    listen 80;
    server_name shop.test;
    access_log /var/log/nginx/access-shop.log timed;
    location / { proxy_pass http://shop_backends; }
    location /static { alias /var/www/html/; }
}
server {
    listen 127.0.0.1:8081;
    access_log off;
    location = /nginx_status { stub_status; allow 127.0.0.1; deny all; }
}
"""
_TLS: Final = """
server {
    listen 443 ssl;
    server_name secure.test;
    ssl_certificate /etc/nginx/tls/secure.pem;
    ssl_certificate_key /etc/nginx/tls/secure.key;
    location / { root /var/www/html; try_files $uri /index.nginx-debian.html; }
}
"""


def write_sites(scratch: Path) -> None:
    """Copies the package's config to SCRATCH/nginx and adds the two sites."""
    nginx = scratch / "nginx"
    shutil.copytree("/etc/nginx", nginx, symlinks=True)
    (nginx / "sites-available/shop").write_text(_PROXIED)
    (nginx / "sites-available/secure").write_text(_TLS)
    for name in ("shop", "secure"):
        (nginx / "sites-enabled" / name).symlink_to(f"/etc/nginx/sites-available/{name}")
    (nginx / "tls").mkdir()
    Authority(nginx / "tls").issue("secure", "secure.test", days=60)


def renew(scratch: Path) -> None:
    """Another certificate on disk, as a renewal without a reload leaves it."""
    Authority(scratch / "nginx/tls").issue("secure", "secure.test", days=90)


def main() -> int:
    """Sets the namespaces up, serves, waits for the end."""
    scratch = Path(sys.argv[1])
    _mounts(scratch)
    _loopback_up()
    upstreams = [Upstream(f"backend {port}", port) for port in PORTS]
    subprocess.run(["/usr/sbin/nginx"], check=True)
    traffic = threading.Thread(target=_traffic, args=(scratch,), daemon=True)
    traffic.start()
    while not (scratch / "stop").exists():
        time.sleep(0.05)
    subprocess.run(["/usr/sbin/nginx", "-s", "quit"], check=False)
    for upstream in upstreams:
        upstream.close()
    return 0


def _mounts(scratch: Path) -> None:
    subprocess.run(["/usr/bin/mount", "--make-rprivate", "/"], check=True)
    for folder in FOLDERS:
        own = scratch / "nginx" if folder == "/etc/nginx" else scratch / folder.replace("/", "_")
        own.mkdir(exist_ok=True)
        if folder == "/var/www":
            shutil.copytree("/var/www", own, dirs_exist_ok=True)
        subprocess.run(["/usr/bin/mount", "--bind", own, folder], check=True)


def _loopback_up() -> None:
    subprocess.run(["/usr/sbin/ip", "link", "set", "lo", "up"], check=True)


def _traffic(scratch: Path) -> None:
    """One request after the other on new connections: plain, proxied, missing, TLS."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    sent = 0
    while True:
        for host, path, is_tls in (
            ("shop.test", "/", False),
            ("shop.test", MISSING, False),
            ("localhost", "/", False),
            ("secure.test", "/", True),
        ):
            with contextlib.suppress(OSError, http.client.HTTPException):
                _ask(host, path, context if is_tls else None)
                sent += 1
        (scratch / "requests.new").write_text(str(sent))
        (scratch / "requests.new").rename(scratch / "requests")
        (scratch / "ready").touch()
        time.sleep(_PAUSE_S)


def _ask(host: str, path: str, context: ssl.SSLContext | None) -> None:
    with socket.create_connection(("127.0.0.1", 443 if context else 80), 5) as plain:
        connection = http.client.HTTPConnection(host)
        connection.sock = context.wrap_socket(plain, server_hostname=host) if context else plain
        connection.request("GET", path, headers={"user-agent": AGENT, "connection": "close"})
        connection.getresponse().read()


if __name__ == "__main__":
    sys.exit(main())
