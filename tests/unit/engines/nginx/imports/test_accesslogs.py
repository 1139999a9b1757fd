"""A route has no lines in the access log where nginx writes none."""

from pathlib import PurePath

from memory_files import MemoryFiles
from nginx_trees import ENTRY, tree_of_http

from headgate.compile.load import load as compiled
from headgate.engines.nginx.imports import proof
from headgate.engines.nginx.imports.bundle import from_files, to_files
from headgate.engines.nginx.imports.imported import Imported
from headgate.engines.nginx.imports.objects import Table, to_toml
from headgate.engines.nginx.imports.recognise import import_tree
from headgate.engines.nginx.imports.rerender import rerender
from headgate.nginxtext.dump import DumpedFiles
from headgate.nginxtext.includes import Tree, load

LOG = "access_log /var/log/told.log;"


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


def routes(one: Imported) -> dict[str, Table]:
    """The routes by name."""
    return {item.name: item.table for item in one.objects if item.section == "routes"}


def test_what_nginx_does_not_log_has_no_lines() -> None:
    one = imported(
        f"{LOG} server {{ listen 81; access_log off; return 204; }}"
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
        quiet="access_log off; proxy_buffering off;",
    )
    assert routes(one)["default"]["access_log"] is False
    assert one.verbatim["/etc/nginx/quiet"] == b"access_log off; proxy_buffering off;"


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
