"""Random nginx configs of what people write, for property tests of the import."""

from hypothesis import strategies as st

ANYWHERE = [
    "# a { comment",
    "access_log off;",
    "access_log /dev/null;",
    "access_log /dev/null told buffer=4k;",
    "proxy_read_timeout 5m;",
    "proxy_set_header Host $host;",
    "proxy_set_header X-A 'a;b $scheme';",
    'proxy_set_header X-B "";',
    "add_header X-C $host always;",
    "client_max_body_size 8m;",
    "default_type text/html;",
    "include params;",
    "gzip on;",
    "gzip_types text/css application/json;",
    "deny 10.0.0.0/9;",
    "allow 10.0.0.0/8;",
    "deny all;",
    "auth_basic a; auth_basic_user_file users;",
    "auth_request /a;",
    "auth_request off;",
    "proxy_next_upstream error timeout http_503;",
    "proxy_next_upstream off;",
    "auth_request_set $user $upstream_http_remote_user; proxy_set_header Remote-User $user;",
]
ASKS = (
    "proxy_pass http://10.0.0.1; proxy_pass_request_body off; proxy_pass_request_headers off;"
    " proxy_set_header Host $host; proxy_set_header Content-Length '';"
    " proxy_set_header X-A $http_x_a;"
)
"""Asks a service the same question as `forward_auth` does."""
IN_HTTP = [*ANYWHERE, "map $http_upgrade $up { default upgrade; }", "upstream php { server p:1; }"]
IN_HTTP += ["upstream api { server a:1; server b backup weight=2; keepalive 3; zone z 1m; }"]
IN_HTTP += ["log_format told '$remote_addr \"$request\" $status $http_x_a $scheme';"]
IN_HTTP += ["log_format told escape=json '{\"status\":$status}'; access_log /dev/stdout told;"]
IN_HTTP += ["split_clients $remote_addr $to { 5.5% 10.0.0.1; 20% 10.0.0.2:81; * 10.0.0.3; }"]
IN_HTTP += ["split_clients $request_id $drawn { 50% 1; * 2; }"]
IN_SERVER = [
    *ANYWHERE,
    "listen 80;",
    "listen [::]:80 default_server;",
    "listen [::]:81 ipv6only=off;",
    "listen 443 ssl http2;",
    "server_name a.example;",
    "server_name .b.example _;",
    "server_name b.example *.b.example;",
    "ssl_certificate a.pem;",
    "ssl_certificate_key a.key;",
    "root /srv;",
    "error_page 404 /x;",
    "proxy_intercept_errors on; error_page 404 503 /b/;",
    "if ($x) { return 403; }",
]
IN_LOCATION = [
    *ANYWHERE,
    "proxy_pass http://api;",
    "proxy_pass http://php/x/;",
    "proxy_pass http://10.0.0.1:80/;",
    "proxy_pass http://$host;",
    "proxy_pass http://$to; proxy_set_header Host $host;",
    "proxy_pass http://10.0.0.${drawn}:82; proxy_set_header Host $host;",
    "proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $up;",
    'return 200 "a\\n\\"$host\\";}";',
    "return 204;",
    "return 200 sorry;",
    "internal;",
    ASKS,
    "return 301 https://$host$request_uri;",
    "return 404;",
    "try_files $uri =404;",
    "location ~ y { deny all; } location /a/x/ { proxy_pass http://api; }",
]
PATHS = [
    "/",
    "/a",
    "/a/",
    "= /a",
    "^~ /a/b",
    "= /b/",
    "/a.b",
    "~ x",
    "@n",
    "/%41",
    '"/c d"',
    "= /a;b",
]


def _some(lines: list[str], most: int) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(lines), max_size=most).map("\n".join)


LOCATIONS = st.builds(
    "location {} {{\n{}\n}}".format, st.sampled_from(PATHS), _some(IN_LOCATION, 3)
)
RETURNS = st.sampled_from(["", "", "return 301 https://a.example$request_uri;"])
SERVERS = st.builds(
    "server {{\n{}\n{}\n{}\n}}".format,
    _some(IN_SERVER, 5),
    RETURNS,
    st.lists(LOCATIONS, max_size=4).map("\n".join),
)
CONFIGS = st.builds(
    "events {{ }}\nhttp {{\n{}\n{}\n}}\n".format,
    _some(IN_HTTP, 3),
    st.lists(SERVERS, max_size=3).map("\n".join),
)
PARAMS = _some([line for line in ANYWHERE if "include" not in line], 2)
