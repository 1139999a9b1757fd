"""`log_format` and `access_log` become `node.access_log` where its lines would be the same, and a
route has no lines where nginx writes none; every other log is reported.
"""

from pathlib import PurePath

import pytest
from memory_files import MemoryFiles
from nginx_trees import ENTRY, tree_of, tree_of_http

from headgate.compile.load import load as compiled
from headgate.engines.nginx.imports import proof
from headgate.engines.nginx.imports.bundle import from_files, to_files
from headgate.engines.nginx.imports.imported import Imported
from headgate.engines.nginx.imports.objects import Table, to_toml
from headgate.engines.nginx.imports.recognise import import_tree
from headgate.engines.nginx.imports.report import report
from headgate.engines.nginx.imports.rerender import rerender
from headgate.engines.nginx.imports.samples import Tried
from headgate.nginxtext.dump import DumpedFiles
from headgate.nginxtext.includes import Tree, load
from headgate.plan.settings import Settings

FORMAT = 'log_format told \'$remote_addr "$request" $status "$http_user_agent"\';'
TEMPLATE = '${client_ip} "${method} ${target} ${protocol}" ${status} "${user_agent}"'
LOG = "access_log /var/log/told.log told;"
SITE = "server { location / { return 204; } }"


def proved(tree: Tree) -> Imported:
    """The import of a config, proved."""
    one = from_files(to_files(import_tree(tree)))
    assert one == import_tree(tree)
    assert proof.lost(tree, one) == ()
    assert proof.same_model(one, import_tree(load(tree.entry, DumpedFiles(rerender(one)))))
    return one


def imported(inside: str, **others: str) -> Imported:
    """The import of this inside `http`, proved."""
    return proved(tree_of_http(inside, **others))


def log_of(one: Imported) -> Table | None:
    """The log of the node."""
    found = [item.table for item in one.objects if item.path == "node.access_log"]
    return found[0] if found else None


def routes(one: Imported) -> dict[str, Table]:
    """The routes by name."""
    return {item.name: item.table for item in one.objects if item.section == "routes"}


def whys(one: Imported, name: str = "access_log") -> list[str]:
    """Why lines of this name were kept."""
    return [fate.why for fate in one.fates if fate.name == name and fate.why]


def of_format(text: str, escape: str = "") -> Imported:
    """The import of a config with this format."""
    return imported(f"log_format told {escape} {text}; {LOG} {SITE}")


def settings_of(one: Imported) -> Settings:
    """What our compiler makes of the node."""
    files = MemoryFiles({"a.toml": to_toml(one.objects)})
    plan = compiled([PurePath("a.toml")], files, {}).plan
    assert plan is not None
    (found,) = (each.value for each in plan.objects.values() if isinstance(each.value, Settings))
    return found


def test_a_log_becomes_that_of_the_node() -> None:
    one = imported(f"{FORMAT} {LOG} {SITE}")
    assert log_of(one) == {"template": TEMPLATE, "sink": {"path": "/var/log/told.log"}}
    became = {fate.name: fate.object for fate in one.fates if fate.object}
    assert became["log_format"] == became["access_log"] == "node.access_log"
    assert "access_log" not in [fate.name for fate in one.kept]
    text = one.verbatim[ENTRY]
    assert b"headgate_log_format" in text
    assert b"headgate_access_log" in text
    log = settings_of(one).access_log
    assert log is not None
    assert log.template == TEMPLATE


def test_the_words_about_buffers_stay_and_the_lines_come_back() -> None:
    one = imported(f"{FORMAT} access_log /a.log told buffer=32k flush=5s; {SITE}")
    assert log_of(one) == {"template": TEMPLATE, "sink": {"path": "/a.log"}}
    text = rerender(one)[ENTRY]
    assert b"access_log /a.log told buffer=32k flush=5s;" in text
    request = b"${request_method} ${request_uri} ${server_protocol}"
    assert b'"${remote_addr} \\"%s\\" ${status} \\"${http_user_agent}\\""' % request in text


def test_standard_output_is_that_of_the_node() -> None:
    one = imported(f"{FORMAT} access_log /dev/stdout told; {SITE}")
    assert log_of(one) == {"template": TEMPLATE}
    assert b"access_log /dev/stdout told;" in rerender(one)[ENTRY]


def test_every_variable_with_a_counterpart_is_taken() -> None:
    text = "'$request_id $request_method $scheme $http_host ${request_uri}x $server_protocol '"
    more = '"$http_referer $ssl_protocol $ssl_server_name $http_x_plan $HTTP_X_PLAN 100%"'
    assert (log_of(of_format(f"{text} {more}")) or {})["template"] == (
        "${request_id} ${method} ${scheme} ${host} ${target}x ${protocol} "
        "${referer} ${tls_version} ${sni} ${header:x-plan} ${header:x-plan} 100%"
    )


@pytest.mark.parametrize(
    ("variable", "why"),
    [
        ("time_local", "`$time_local` is when the request ended"),
        ("time_iso8601", "`$time_iso8601` is when the request ended"),
        ("request_time", "`$request_time` is in seconds"),
        ("upstream_header_time", "`$upstream_header_time` is in seconds"),
        ("body_bytes_sent", "`$body_bytes_sent` counts the framing of chunks"),
        ("bytes_sent", "`$bytes_sent` counts the head of the answer"),
        ("upstream_addr", "`$upstream_addr` names every endpoint that was tried"),
        ("host", "`$host` is in lower case and without the port"),
        ("remote_user", "`$remote_user` has no field"),
        ("my_own", "`$my_own` has no field"),
        ("http_x_forwarded_for", "`$http_x_forwarded_for` is taken from trusted peers alone"),
        ("http_cf_connecting_ip", "`$http_cf_connecting_ip` is taken from trusted peers alone"),
        ("http_authorization", "`$http_authorization` carries credentials"),
        ("http_cookie", "`$http_cookie` carries credentials"),
        ("cookie_a", "`$cookie_a` has no field"),
        ("hg_route", "`$hg_route` has no field"),
    ],
)
def test_a_variable_without_exact_counterpart_keeps_the_log(variable: str, why: str) -> None:
    one = of_format(f"'$status ${variable}'")
    assert log_of(one) is None
    (said,) = whys(one)
    assert said.startswith("`log_format told` (/etc/nginx/nginx.conf:2): ")
    assert why in said
    assert b"access_log /var/log/told.log told;" in one.verbatim[ENTRY]
    assert b"log_format told" in one.verbatim[ENTRY]


def test_every_variable_in_the_way_is_named_once() -> None:
    (said,) = whys(of_format("'$time_local $remote_user $time_local $msec'"))
    assert [said.count(f"`${name}`") for name in ("time_local", "remote_user", "msec")] == [1, 1, 1]


@pytest.mark.parametrize("log", ["access_log /a.log;", "access_log /a.log combined;"])
def test_the_format_that_nginx_has_built_in_is_not_ours(log: str) -> None:
    one = imported(f"{log} {SITE}")
    assert log_of(one) is None
    (said,) = whys(one)
    assert "`log_format combined`" in said
    assert "`$remote_user`" in said
    assert "`$body_bytes_sent`" in said
    assert 'format = "combined"' in said


@pytest.mark.parametrize(
    ("log", "why"),
    [
        ("access_log logs/a.log told;", "relative"),
        ("access_log /var/log/$host.log told;", "variables"),
        ("access_log syslog:server=127.0.0.1 told;", "RFC 3164"),
        ("access_log /a.log.gz told gzip;", "`gzip` has no counterpart"),
        ("access_log /a.log told gzip=9;", "`gzip=9` has no counterpart"),
        ("access_log /a.log told if=$loggable;", "`if=$loggable` has no counterpart"),
        ('access_log "/a\x7f.log" told;', "its path: it holds the control character"),
        ("access_log /a.log missing;", "`log_format missing` is not there"),
    ],
)
def test_a_log_that_the_node_cannot_write_is_kept(log: str, why: str) -> None:
    one = imported(f"{FORMAT} {log} {SITE}")
    assert log_of(one) is None
    (said,) = whys(one)
    assert why in said, said
    assert log.encode() in one.verbatim[ENTRY]
    assert b"log_format told" in one.verbatim[ENTRY]


def test_what_is_in_the_way_of_path_and_format_is_said_at_once() -> None:
    (said,) = whys(imported(f"access_log logs/a.log; {SITE}"))
    assert said.startswith("its path is relative to nginx's prefix")
    assert "; `log_format combined`: `$remote_user` has no field; " in said


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (r"'$status\t$scheme'", "control characters"),
        ("'" + "x" * 2001 + "'", "2000 characters"),
        ("'" + "".join(f"$http_a{n} " for n in range(17)) + "'", "17 headers"),
        (f"'{'$ssl_server_name' * 150}' '{'$ssl_server_name' * 150}'", "5402 bytes"),
    ],
)
def test_a_line_that_no_template_says_keeps_the_log(text: str, why: str) -> None:
    one = of_format(text)
    assert log_of(one) is None
    (said,) = whys(one)
    assert why in said, said


def test_our_own_json_is_fields() -> None:
    text = '\'{"status":$status,"method":"$request_method","host":"$http_host"}\''
    one = of_format(text, "escape=json")
    assert log_of(one) == {
        "fields": ["status", "method", "host"],
        "sink": {"path": "/var/log/told.log"},
    }
    assert b"log_format told escape=json" in rerender(one)[ENTRY]
    log = settings_of(one).access_log
    assert log is not None
    assert log.fields == ("status", "method", "host")


@pytest.mark.parametrize("escape", ["json", "none"])
def test_other_escapes_are_a_template_where_nothing_is_escaped(escape: str) -> None:
    text = '\'{"code": $status, "ip": "$remote_addr", "how": "$request_method"}\''
    one = of_format(text, f"escape={escape}")
    assert (log_of(one) or {})["template"] == (
        '{"code": ${status}, "ip": "${client_ip}", "how": "${method}"}'
    )
    assert f"log_format told escape={escape}".encode() in rerender(one)[ENTRY]
    one = of_format('\'{"code": $status, "url": "$request_uri"}\'', f"escape={escape}")
    assert log_of(one) is None
    (said,) = whys(one)
    assert f"`escape={escape}`" in said
    assert "`$request_uri`" in said


def test_a_field_that_json_lines_may_lack_keeps_the_log() -> None:
    one = of_format('\'{"status":$status,"user_agent":"$http_user_agent"}\'', "escape=json")
    assert log_of(one) is None


def test_one_of_several_logs_is_that_of_the_node() -> None:
    one = imported(f"{FORMAT} access_log /var/log/c.log; {LOG} access_log /b.log told; {SITE}")
    assert (log_of(one) or {})["sink"] == {"path": "/var/log/told.log"}
    first, last = whys(one)
    assert "`log_format combined`" in first
    assert last == "the node has one access log, which is /var/log/told.log"


def test_a_log_of_the_server_is_that_of_the_node_where_all_have_the_same() -> None:
    server = "server { listen %d; LOG location / { return 204; } }"
    two = f"{server % 81}{server % 82}"
    one = imported(f"{FORMAT} {two.replace('LOG', LOG)}")
    assert (log_of(one) or {})["sink"] == {"path": "/var/log/told.log"}
    assert whys(one) == []
    assert one.verbatim[ENTRY].count(b"headgate_access_log") == 2
    other = f"{server % 81}{server % 82}".replace("LOG", LOG, 1).replace("LOG", "")
    one = imported(f"{FORMAT} {other}")
    assert log_of(one) is None
    assert whys(one) == ["`node.access_log` is one log for all requests"]


def test_what_nginx_does_not_log_has_no_lines() -> None:
    one = imported(
        f"{FORMAT} {LOG} server {{ listen 81; access_log off; return 204; }}"
        " server { listen 82; location /a { return 200 a; } location = /ping { access_log off;"
        " return 200 ok; } location /b/ { access_log off; proxy_pass http://127.0.0.1:9; }"
        " location /c { access_log off; deny all; } location /d { access_log off; internal; } }"
        " server { listen 83; access_log off; location / { return 204; }"
        f" location /told {{ {LOG} return 204; }} }}"
    )
    switches = {
        name: table.get("access_log")
        for name, table in routes(one).items()
        if "encoded-slash" not in name
    }
    assert switches == {
        "default-all": False,
        "default-a": None,
        "default-ping": False,
        "default-b": False,
        "default-b-slash": False,
        "default-c": False,
        "default-d": False,
        "default-rest": None,
        "default": False,
        "default-told": None,
    }
    assert whys(one) == []
    plan = compiled([PurePath("a.toml")], MemoryFiles({"a.toml": to_toml(one.objects)}), {}).plan
    assert plan is not None


def test_a_line_that_turns_the_log_off_becomes_part_of_its_route() -> None:
    one = imported("server { location / { access_log off; proxy_pass http://127.0.0.1:9; } }")
    assert routes(one)["default"]["access_log"] is False
    assert [fate.object for fate in one.fates if fate.name == "access_log"] == ["routes.default"]
    assert b"access_log" not in one.verbatim[ENTRY]
    assert b"access_log off;" in rerender(one)[ENTRY]


def test_one_in_an_included_file_stays_there() -> None:
    one = imported(
        "server { location / { include quiet; proxy_pass http://127.0.0.1:9; } }",
        quiet="access_log off; sendfile off;",
    )
    assert routes(one)["default"]["access_log"] is False
    assert one.verbatim["/etc/nginx/quiet"] == b"access_log off; sendfile off;"


def test_another_log_below_is_reported_with_its_line() -> None:
    one = imported(
        f"{FORMAT}\n{LOG}\nserver {{\naccess_log /own.log told;\nlocation / {{ return 204; }}\n"
        f"location /x {{\n{LOG}\naccess_log /x.log told;\nreturn 204;\n}} }}"
    )
    assert (log_of(one) or {})["sink"] == {"path": "/var/log/told.log"}
    shown = report(one, (), Tried(0, True, (), ())).kept
    said = [(line.line, line.why) for line in shown if line.name == "access_log"]
    why = "the node has one access log, which is /var/log/told.log"
    assert said == [(5, why), (9, why)]
    assert b"access_log /own.log told;" in one.verbatim[ENTRY]


def test_a_log_below_is_reported_where_nothing_is_logged_above() -> None:
    one = imported(f"{FORMAT} access_log off; server {{ {LOG} location / {{ return 204; }} }}")
    assert log_of(one) is None
    assert whys(one) == ["`node.access_log` is one log for all requests"]


def test_a_variable_that_the_config_sets_is_none_of_nginx() -> None:
    own = "map $request_method $http_x_plan { default gold; }"
    one = imported(f"{own} log_format told '$http_x_plan'; {LOG} {SITE}")
    assert log_of(one) is None
    (said,) = whys(one)
    assert "`$http_x_plan` is set by the config" in said


def test_an_id_that_trusted_peers_may_send_is_none_of_nginx() -> None:
    form = "log_format told '$request_id';"
    trusted = "set_real_ip_from 10.0.0.0/8; real_ip_header X-Forwarded-For; real_ip_recursive on;"
    assert log_of(imported(f"{form} {LOG} {SITE}")) is not None
    one = imported(f"{form} {LOG} {trusted} {SITE}")
    assert log_of(one) is None
    (said,) = whys(one)
    assert "`$request_id` is nginx's own" in said


def test_nothing_is_said_of_logs_where_no_route_is() -> None:
    one = imported(f"{FORMAT} {LOG} server {{ location / {{ root /srv; }} }}")
    assert log_of(one) is None
    assert whys(one) == []


def test_a_log_in_a_file_that_is_included_twice_is_kept() -> None:
    server = "server { listen %d; include log; location / { return 204; } }"
    one = imported(f"{FORMAT} {server % 81} {server % 82}", log=LOG)
    assert log_of(one) is None
    assert whys(one) == ["/etc/nginx/log is included more than once"]


def test_connections_that_would_have_lines_keep_the_log() -> None:
    stream = "stream { server { listen 91; access_log /s.log; proxy_pass 127.0.0.1:92; } }"
    one = proved(tree_of(f"events {{ }} {stream} http {{ {FORMAT} {LOG} {SITE} }}"))
    assert any(item.section == "tcp_routes" for item in one.objects)
    assert log_of(one) is None
    of_stream, of_http = whys(one)
    assert "TCP connections" in of_stream
    assert "`stream`" in of_http


def test_the_report_says_what_differs_and_who_writes() -> None:
    one = imported(f"{FORMAT}\n{LOG}\n{SITE}")
    notes = {note.line: note.message for note in one.notes if "log" in note.message}
    assert "`node.redact_query`" in notes[2]
    assert "`-`" in notes[2]
    assert "/var/log/told.log" in notes[3]
    assert "SIGUSR1" in notes[3]
    one = imported("log_format plain '$status';\naccess_log /dev/stdout plain;\n" + SITE)
    assert [note.message for note in one.notes if "log" in note.message] == []


def test_subrequests_and_pages_with_another_log_are_noted() -> None:
    one = imported(
        "upstream live { server 10.0.0.1; } upstream shadow { server 10.0.0.9; }"
        " log_subrequest on; proxy_set_header Host $host; server {"
        " location = /x { access_log off; return 200 x; }"
        " location = /copy { internal; proxy_pass http://shadow$request_uri; }"
        " location / { error_page 502 /x; mirror /copy; proxy_pass http://live; } }"
    )
    said = [note.message for note in one.notes]
    assert any(message.startswith("`log_subrequest`") for message in said)
    assert any("`error_page`" in message and "access log" in message for message in said)


def test_an_edit_of_the_log_is_in_what_is_written_again() -> None:
    one = imported(f"{FORMAT} {LOG} {SITE}")
    files = to_files(one)
    text = files["headgate.toml"].replace(b"/var/log/told.log", b"/var/log/other.log")
    again = from_files({**files, "headgate.toml": text})
    assert b"access_log /var/log/other.log told;" in rerender(again)[ENTRY]
