"""nginx, one worker, with upstream keep-alive and buffers large enough never to touch the disk."""

import os
import shutil
import signal
import subprocess

from machine import DESCRIPTORS, PROXY_CPU, pin, tree

from peers.base import Place, Processes, Setup
from peers.features import NGINX_GZIP_LEVEL

_HTTP = """\
{user}worker_processes 1; pcre_jit on; daemon off;
pid {folder}/nginx.pid; error_log {folder}/nginx.err crit;
worker_rlimit_nofile 20000;
events {{ worker_connections 16000; use epoll; multi_accept on; }}
http {{
  {log}; server_tokens off; sendfile on; tcp_nodelay on;
  keepalive_requests 1000000000; keepalive_timeout 600s; client_max_body_size 0;
  client_body_buffer_size 128k; client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2;
  fastcgi_temp_path {folder}/t3; uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  upstream up {{
    server 127.0.0.1:{backend}; keepalive 512;
    keepalive_requests 1000000000; keepalive_timeout 600s;
  }}
  proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  proxy_buffer_size 16k; proxy_buffers 8 64k; proxy_busy_buffers_size 128k;
  proxy_max_temp_file_size 0;
{extra}{servers}}}
"""
_RELAY = """\
load_module modules/ngx_stream_module.so;
{user}worker_processes 1; daemon off;
pid {folder}/nginx.pid; error_log {folder}/nginx.err crit;
worker_rlimit_nofile {descriptors};
events {{ worker_connections {connections}; use epoll; multi_accept on; }}
stream {{
  proxy_timeout 600s; proxy_connect_timeout 5s; proxy_buffer_size 64k; tcp_nodelay on;
  server {{ listen 127.0.0.1:{port} backlog=16384; proxy_pass 127.0.0.1:{backend}; }}
{datagrams}}}
"""
_CONNECTIONS = 50_000
"""For 20,000 sessions or flows: a flow takes two as well, though only one descriptor."""
_DATAGRAMS = """\
  server {{ listen 127.0.0.1:{port} udp reuseport rcvbuf=4m; proxy_pass 127.0.0.1:{backend}; }}
"""
_LOG = (
    'log_format j escape=json \'{{"time":"$time_iso8601","client":"$remote_addr",'
    '"method":"$request_method","host":"$host","path":"$request_uri","status":$status,'
    '"bytes":$body_bytes_sent,"request_id":"$request_id","upstream":"$upstream_addr",'
    '"connect":"$upstream_connect_time","first_byte":"$upstream_header_time",'
    '"total":$request_time}}\'; access_log {path} j buffer=64k flush=1s'
)
_USER = "user root; " if os.geteuid() == 0 else ""
_HASHES = (
    "  server_names_hash_max_size 65536; server_names_hash_bucket_size 128;"
    " variables_hash_max_size 4096;\n"
)
_GZIP = f"  gzip on; gzip_types application/json; gzip_comp_level {NGINX_GZIP_LEVEL};\n"
_WEBSOCKET = (
    "    location /ws { proxy_pass http://up; proxy_set_header Host $host;"
    ' proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade"; }\n'
)
_CALLS = (
    "    location / { grpc_pass grpc://up; grpc_buffer_size 16k;"
    " grpc_set_header X-Forwarded-For $proxy_add_x_forwarded_for; }\n"
)
"""Each call has an upstream connection for itself; others take it when it is over."""


class Nginx:
    """Debian's nginx."""

    name = "nginx"

    def missing(self) -> str:
        """Not installed?"""
        return "" if shutil.which("nginx") else "nginx is not installed (make system-deps)"

    def version(self) -> str:
        """`nginx -v`."""
        done = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=False)
        return done.stderr.strip().removeprefix("nginx version: ")

    def refuses(self, setup: Setup) -> str:
        """Post-quantum groups need OpenSSL 3.5; Debian's build encodes by gzip alone."""
        if setup.feature not in {"", "gzip"}:
            return f"it is not compared with in {setup.feature}"
        return "its OpenSSL has no ML-KEM" if "mlkem" in setup.tls_group else ""

    def command(self, setup: Setup, place: Place) -> list[str]:
        """Writes nginx.conf."""
        path = place.folder / "nginx.conf"
        path.write_text(self.config_text(setup, place))
        return ["nginx", "-c", str(path)]

    def config_text(self, setup: Setup, place: Place) -> str:
        """nginx.conf."""
        if setup.relay:
            return _relay(setup, place)
        log = _LOG.format(path=place.access_log) if setup.access_log else "access_log off"
        extra = _HASHES if setup.kind == "hosts" else ""
        if setup.version:
            extra += f"  add_header X-V {setup.version};\n"
        if setup.feature == "gzip":
            extra += _GZIP
        return _HTTP.format(
            user=_USER,
            folder=place.folder,
            backend=place.backend_port,
            log=log,
            extra=extra,
            servers=_servers(setup, place),
        )

    def processes(self, pid: int, place: Place) -> Processes:
        """The master is idle; it is counted all the same."""
        whole = tree(pid)
        pin(whole, PROXY_CPU)
        return Processes(whole, whole)

    def reload(self, pid: int, setup: Setup, place: Place) -> None:
        """SIGHUP."""
        self.command(setup, place)
        os.kill(pid, signal.SIGHUP)


def _relay(setup: Setup, place: Place) -> str:
    ports = {"port": place.http_port, "backend": place.backend_port}
    return _RELAY.format(
        user=_USER,
        folder=place.folder,
        descriptors=DESCRIPTORS,
        connections=_CONNECTIONS,
        datagrams=_DATAGRAMS.format(**ports) if setup.relay == "udp" else "",
        **ports,
    )


def _servers(setup: Setup, place: Place) -> str:
    http2 = " http2" if setup.http2 else ""
    listen = f"listen {place.http_port}{http2} backlog=16384;"
    if setup.kind == "hosts":
        one = "  server {{ {listen} server_name {name}; location / {{ proxy_pass http://up; }} }}\n"
        return "".join(
            one.format(
                listen=listen if not i else f"listen {place.http_port};", name=setup.pattern(i)
            )
            for i in range(setup.count)
        )
    if setup.upstream == "grpc":
        places = _CALLS
    elif setup.kind == "plain":
        places = "    location / { proxy_pass http://up; }\n" + _WEBSOCKET
    else:
        places = "".join(
            f"    location {_location(setup, i)} {{ proxy_pass http://up; }}\n"
            for i in range(setup.count)
        )
    servers = f"  server {{ {listen}\n{places}  }}\n"
    if setup.tls_group:
        tls = (
            f"    listen {place.tls_port} ssl{http2} backlog=16384; ssl_protocols TLSv1.3;"
            f" ssl_ecdh_curve {setup.tls_group.upper()};\n    ssl_certificate {place.cert};"
            f" ssl_certificate_key {place.key}; ssl_session_cache off; ssl_session_tickets off;\n"
        )
        servers += f"  server {{\n{tls}{places}  }}\n"
    return servers


def _location(setup: Setup, index: int) -> str:
    pattern = setup.pattern(index)
    return pattern if setup.kind == "prefixes" else f'~ "^{pattern}$"'
