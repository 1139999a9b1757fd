"""What a test of a config has to have, read from its text."""

from pathlib import Path

from headgate.engines.nginx.instance.needs import needs_of, resolved

BUILD = "configure arguments: --prefix=/usr/share/nginx --http-log-path=/var/log/nginx/access.log"

CONF = """
pid run/nginx.pid; # pid commented.pid;
error_log stderr;
http {
    access_log off;
    access_log logs/a.log main; access_log logs/$host.log;
    access_log syslog:server=logs.example:514,facility=local7;
    proxy_cache_path "/var/cache/x" keys_zone=a:1m;
    resolver 127.0.0.1 dns.example;
    upstream hg_up { server one.example:8080 weight=2; server 10.0.0.1:80; server unix:/x; }
    server {
        listen unix:/run/s.sock; listen 80; listen localhost:81; listen [::]:82;
        server_name not.resolved.example;
        location / { proxy_pass http://hg_up; }
        location /a { proxy_pass https://two.example/x; }
        location /b { proxy_pass http://$host; }
        include more.inc;
    }
}
"""


def test_places_and_names_are_found_in_a_config_of_others(tmp_path: Path) -> None:
    conf = tmp_path / "nginx.conf"
    conf.write_text(CONF)
    (tmp_path / "more.inc").write_text("location /c { fastcgi_pass three.example:9000; }\n")
    needs = needs_of(str(conf), "/p", BUILD, (), Path("/"))
    assert set(needs.writes) == {
        "/var/log/nginx/access.log",
        "/p/run/nginx.pid",
        "/p/logs/a.log",
        "/var/cache/x",
        "/run/s.sock",
    }
    assert set(needs.names) == {
        "logs.example",
        "dns.example",
        "one.example",
        "localhost",
        "two.example",
        "three.example",
    }


def test_a_long_name_before_a_variable_does_not_hold_a_test_up(tmp_path: Path) -> None:
    """With a step for each way to cut it into labels, no test would end."""
    (tmp_path / "nginx.conf").write_text(f"proxy_pass http://{'backend-' * 8}eu$request_uri;\n")
    assert needs_of(str(tmp_path / "nginx.conf"), "/p", BUILD, (), Path("/")).names == ()


def test_a_release_of_ours_writes_in_its_own_folders(tmp_path: Path) -> None:
    (tmp_path / "nginx.conf").write_text("pid /s/run/nginx.pid;\n")
    (tmp_path / "http.conf").write_text("access_log /s/logs/a.log;\nupstream u {\nserver n:1;\n}\n")
    needs = needs_of(str(tmp_path / "nginx.conf"), None, "", ("/s/run", "/s/logs"), Path("/"))
    assert {"/s/run", "/s/logs"} <= set(needs.writes)
    assert "/usr/local/nginx" not in "".join(needs.writes)
    assert needs.names == ("n",)


def test_names_become_lines_of_hosts_and_unknown_ones_do_not() -> None:
    lines = resolved(["localhost", "no.such.name.invalid"]).splitlines()
    assert "127.0.0.1 localhost" in lines
    assert not any("invalid" in line for line in lines)
