"""HAProxy, one thread; hosts, prefixes and regexes by map files, its quickest way."""

import os
import shutil
import signal
import subprocess

from machine import DESCRIPTORS, PROXY_CPU, pin, tree

from peers.base import Place, Processes, Setup

_TEXT = """\
global
  nbthread 1
  maxconn 7900
  ssl-default-bind-options ssl-min-ver TLSv1.3 no-tls-tickets
  tune.ssl.cachesize 0
  {log}
defaults
  mode http
  timeout connect 5s
  timeout client 600s
  timeout server 600s
  timeout http-keep-alive 600s
  timeout tunnel 600s
  option http-keep-alive
  option splice-auto
  http-reuse always
frontend f
  bind :{port} backlog 16384{clear}
{tls}  option forwardfor
{front}backend b
  server s1 127.0.0.1:{backend}{protocol} pool-max-conn 1000 pool-low-conn 0
"""
_RELAY = """\
global
  nbthread 1
  maxconn {connections}
  maxpipes {pipes}
  no log
defaults
  mode tcp
  timeout connect 5s
  timeout client 600s
  timeout server 600s
  option splice-auto
listen t
  bind 127.0.0.1:{port} backlog 16384
  server s1 127.0.0.1:{backend}
"""
_PIPES = 800
_FORMAT = (
    'log global\n  log-format \'{"time":"%Tl","client":"%ci","method":"%HM","path":"%HU",'
    '"status":%ST,"bytes":%B,"upstream":"%b/%s","connect":%Tc,"first_byte":%Tr,"total":%Ta}\'\n'
)
_FETCH = {
    "hosts": "req.hdr(host),lower,map_str",
    "prefixes": "path,map_beg",
    "regex": "path,map_reg",
    "regex-free": "path,map_reg",
}


class Haproxy:
    """Debian's HAProxy."""

    name = "haproxy"

    def missing(self) -> str:
        """Not installed?"""
        return "" if shutil.which("haproxy") else "haproxy is not installed (make system-deps)"

    def version(self) -> str:
        """`haproxy -v`, its first line without the address."""
        done = subprocess.run(["haproxy", "-v"], capture_output=True, text=True, check=False)
        return done.stdout.splitlines()[0].split(" - ")[0]

    def refuses(self, setup: Setup) -> str:
        """Post-quantum groups need OpenSSL 3.5; it passes on no datagrams."""
        if setup.relay == "udp":
            return "it has no UDP"
        if setup.feature:
            return f"it is not compared with in {setup.feature}"
        return "its OpenSSL has no ML-KEM" if "mlkem" in setup.tls_group else ""

    def command(self, setup: Setup, place: Place) -> list[str]:
        """Writes haproxy.cfg and the map; with `-W` it can be reloaded."""
        path = place.folder / "haproxy.cfg"
        path.write_text(self.config_text(setup, place))
        if setup.kind != "plain":
            ends = "" if setup.kind in {"hosts", "prefixes"} else "$"
            begins = "^" if ends else ""
            lines = (f"{begins}{setup.pattern(i)}{ends} b\n" for i in range(setup.count))
            (place.folder / "routes.map").write_text("".join(lines))
        command = ["haproxy", *(["-W"] if setup.reloads else []), "-db", "-f", str(path)]
        if setup.access_log:  # it writes logs to a socket or to standard output, never to a file
            return ["sh", "-c", f'exec "$@" >{place.access_log}', "sh", *command]
        return command

    def config_text(self, setup: Setup, place: Place) -> str:
        """haproxy.cfg."""
        if setup.relay:
            return _RELAY.format(
                connections=(DESCRIPTORS - 2 * _PIPES - 200) // 2,
                pipes=_PIPES,
                port=place.http_port,
                backend=place.backend_port,
            )
        tls = ""
        if setup.tls_group:
            tls = (
                f"  bind :{place.tls_port} backlog 16384 ssl crt {place.both}"
                f" curves {setup.tls_group.upper()} alpn {'h2' if setup.http2 else 'http/1.1'}\n"
            )
        front = f"  {_FORMAT}" if setup.access_log else ""
        if setup.version:
            front += f"  http-response set-header X-V {setup.version}\n"
        if setup.kind == "plain":
            front += "  default_backend b\n"
        else:
            where = place.folder / "routes.map"
            front += f"  use_backend %[{_FETCH[setup.kind]}({where})]\n"
        return _TEXT.format(
            port=place.http_port,
            backend=place.backend_port,
            protocol="" if setup.upstream == "http1" else " proto h2",
            log="log stdout format raw local0" if setup.access_log else "no log",
            clear=" proto h2" if setup.http2 else "",
            tls=tls,
            front=front,
        )

    def processes(self, pid: int, place: Place) -> Processes:
        """One process, or a master with it."""
        whole = tree(pid)
        pin(whole, PROXY_CPU)
        return Processes(whole, whole)

    def reload(self, pid: int, setup: Setup, place: Place) -> None:
        """SIGUSR2 to the master."""
        self.command(setup, place)
        os.kill(pid, signal.SIGUSR2)
