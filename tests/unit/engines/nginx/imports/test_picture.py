"""The picture shows what a config serves, without reading further files."""

from nginx_trees import tree_of_http

from headgate.engines.nginx.imports.picture import (
    PictureCertificate,
    PictureHost,
    PictureRoute,
    PictureUpstream,
    Place,
    picture,
)

FILE = "/etc/nginx/nginx.conf"
TEXT = """\
upstream api { least_conn; server 10.0.0.1:80; server 10.0.0.2:80 backup; }
server {
    listen 443 ssl; listen unix:/run/x; server_name a.example b.example;
    ssl_certificate a.pem; ssl_certificate_key a.key;
    location / { proxy_pass http://api; }
    location ~ \\.php$ { fastcgi_pass 127.0.0.1:9000; location ~ ^/x { return 403; } }
    location /f/ { alias /srv/; }
}
server { return 301 https://$host$request_uri; }
"""


def test_hosts_routes_upstreams_and_certificates_are_shown() -> None:
    drawn = picture(tree_of_http(TEXT))
    names = ("a.example", "b.example")
    assert drawn.hosts == (
        PictureHost(
            "http",
            names,
            ("*:443", "unix:/run/x"),
            True,
            True,
            ("a.pem",),
            Place(FILE, 3),
        ),
        PictureHost("http", (), ("*:80",), False, True, (), Place(FILE, 10)),
    )
    assert drawn.routes == (
        PictureRoute(names, "/", "proxy", "http://api", Place(FILE, 6)),
        PictureRoute(names, "~ \\.php$", "fastcgi", "127.0.0.1:9000", Place(FILE, 7)),
        PictureRoute(names, "~ ^/x", "return", "403", Place(FILE, 7)),
        PictureRoute(names, "/f/", "files", "/srv/", Place(FILE, 8)),
        PictureRoute((), "", "return", "301 https://$host$request_uri", Place(FILE, 10)),
    )
    assert drawn.upstreams == (
        PictureUpstream("api", ("10.0.0.1:80", "10.0.0.2:80"), "least_conn", False, Place(FILE, 2)),
        PictureUpstream("127.0.0.1:9000", ("127.0.0.1:9000",), "round_robin", True, Place(FILE, 7)),
    )
    assert drawn.certificates == (
        PictureCertificate("/etc/nginx/a.pem", "/etc/nginx/a.key", names, Place(FILE, 3)),
    )


def test_problems_and_findings_are_part_of_it() -> None:
    drawn = picture(tree_of_http("include gone;\nserver { location /i { alias /d/; } }"))
    assert drawn.problems == (f"{FILE}:2:1: cannot read /etc/nginx/gone: not part of the dump",)
    assert {"missing_include", "alias_traversal"} <= {one.id for one in drawn.findings}
    assert drawn.directives == 6
    assert drawn.files == (FILE,)
