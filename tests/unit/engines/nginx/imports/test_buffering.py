"""Bodies that nginx collects (`proxy_request_buffering`) become `body_buffer`, and come back;
answers that it collects (`proxy_buffering`) become `response_buffer`."""

import pytest
from nginx_trees import tree_of_http

from headgate.engines.nginx.imports import proof
from headgate.engines.nginx.imports.bundle import from_files, to_files
from headgate.engines.nginx.imports.imported import Imported
from headgate.engines.nginx.imports.objects import table_in
from headgate.engines.nginx.imports.recognise import import_tree
from headgate.engines.nginx.imports.rerender import rerender
from headgate.nginxtext.dump import DumpedFiles
from headgate.nginxtext.includes import load


def imported(around: str, location: str) -> Imported:
    """The import of a server with this around and in its location, proved."""
    tree = tree_of_http(
        f"server {{ {around} location / {{ proxy_pass http://10.0.0.1; {location} }} "
        "location /here { client_body_buffer_size 1k; return 204; } }"
    )
    one = from_files(to_files(import_tree(tree)))
    assert proof.lost(tree, one) == ()
    assert proof.same_model(one, import_tree(load(tree.entry, DumpedFiles(rerender(one)))))
    return one


@pytest.mark.parametrize(
    ("around", "location", "size"),
    [
        ("", "", "16KiB"),
        ("client_body_buffer_size 8k;", "", "8KiB"),
        ("client_body_buffer_size 8k;", "client_body_buffer_size 128k;", "128KiB"),
        ("", "client_body_buffer_size 10m;", "1MiB"),
        ("proxy_request_buffering off;", "", None),
        ("proxy_request_buffering off;", "proxy_request_buffering on;", "16KiB"),
        ("", "proxy_request_buffering off; client_body_buffer_size 8k;", None),
    ],
)
def test_what_nginx_collects_is_collected(around: str, location: str, size: str | None) -> None:
    one = imported(around, location)
    (route,) = [x.table for x in one.objects if x.section == "routes" and "upstream" in x.table]
    assert table_in(route, "limits").get("body_buffer") == size
    notes = [note.message for note in one.notes if "request_buffering" in note.message]
    assert [f"bodies above {size} pass" in note for note in notes] == [True] * (size is not None)


@pytest.mark.parametrize(
    ("around", "location", "size"),
    [
        ("", "", "16MiB"),
        ("proxy_buffering off;", "", None),
        ("proxy_buffering off;", "proxy_buffering on;", "16MiB"),
        ("proxy_max_temp_file_size 0;", "", "32KiB"),
        ("proxy_max_temp_file_size 0;", "proxy_buffers 16 64k;", "1MiB"),
        ("proxy_max_temp_file_size 0; proxy_buffers 1000 64k;", "", "16MiB"),
        ("", "proxy_buffers 4 32k; proxy_max_temp_file_size 128k;", "256KiB"),
        ("proxy_max_temp_file_size 128k; proxy_buffers four 32k;", "", "128KiB"),
    ],
)
def test_answers_are_collected_as_well(around: str, location: str, size: str | None) -> None:
    one = imported(around, location)
    (route,) = [x.table for x in one.objects if x.section == "routes" and "upstream" in x.table]
    assert table_in(route, "limits").get("response_buffer") == size
    notes = [note.message for note in one.notes if "`proxy_buffering`" in note.message]
    assert [f"{size} of an answer" in note for note in notes] == [True] * (size is not None)
