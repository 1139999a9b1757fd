"""The include graph is nginx's, and a dump is taken apart into the files it was made of."""

import pytest

from headgate.nginxtext.dump import DumpedFiles, NoDumpError, files_of
from headgate.nginxtext.includes import Tree, load

FILES = {
    "/etc/nginx/nginx.conf": b"user www;\nhttp {\n include conf.d/*.conf;\n include none/*.conf;\n"
    b" include mime.types;\n}\n",
    "/etc/nginx/conf.d/b.conf": b"server { include proxy_params; listen 2; }",
    "/etc/nginx/conf.d/a.conf": b"server { listen 1; include proxy_params; }",
    "/etc/nginx/conf.d/.hidden.conf": b"bad",
    "/etc/nginx/conf.d/sub/c.conf": b"bad",
    "/etc/nginx/proxy_params": b"proxy_set_header A b;\n",
    "/etc/nginx/mime.types": b"types { text/html html; }",
}


def _tree(files: dict[str, bytes]) -> Tree:
    return load("/etc/nginx/nginx.conf", DumpedFiles(files))


def test_files_are_read_in_nginx_order_each_once() -> None:
    tree = _tree(FILES)
    assert list(tree.documents) == [
        "/etc/nginx/nginx.conf",
        "/etc/nginx/conf.d/a.conf",
        "/etc/nginx/proxy_params",
        "/etc/nginx/conf.d/b.conf",
        "/etc/nginx/mime.types",
    ]
    assert tree.problems == ()


def test_directives_of_included_files_stand_in_place_of_the_include() -> None:
    tree = _tree(FILES)
    _, http = tree.top()
    first, second, types = tree.inside(http)
    assert [one.directive.name for one in tree.inside(first)] == [b"listen", b"proxy_set_header"]
    assert [one.directive.name for one in tree.inside(second)] == [b"proxy_set_header", b"listen"]
    assert [one.file for one in tree.inside(second)] == [
        "/etc/nginx/proxy_params",
        "/etc/nginx/conf.d/b.conf",
    ]
    assert types.file == "/etc/nginx/mime.types"


def test_what_is_missing_broken_or_in_a_circle_is_named_with_its_place() -> None:
    files = {
        "/etc/nginx/nginx.conf": b"http {\n include gone.conf;\n include a.conf;\ninclude b.conf;}",
        "/etc/nginx/a.conf": b"\ninclude a.conf;",
        "/etc/nginx/b.conf": b"a\n}",
    }
    assert [str(problem) for problem in _tree(files).problems] == [
        "/etc/nginx/nginx.conf:2:2: cannot read /etc/nginx/gone.conf: not part of the dump",
        "/etc/nginx/a.conf:2:1: the file includes itself: /etc/nginx/a.conf → /etc/nginx/a.conf",
        '/etc/nginx/b.conf:2:1: unexpected "}", expecting ";" or "{"',
    ]
    assert [one.directive.name for one in _tree(files).top()] == [b"http"]


def test_a_name_that_is_not_utf8_is_a_problem() -> None:
    tree = _tree(FILES | {"/etc/nginx/conf.d/c\udcff.conf": b"server { listen 3; }"})
    assert [str(problem) for problem in tree.problems] == [
        "/etc/nginx/nginx.conf:3:2: the name /etc/nginx/conf.d/c\\xff.conf is not UTF-8; "
        "rename the file"
    ]


def test_a_missing_entry_is_a_problem() -> None:
    (problem,) = _tree({}).problems
    assert str(problem).startswith("/etc/nginx/nginx.conf: cannot read")


def test_include_is_a_value_in_split_clients() -> None:
    text = b'split_clients "$a" $b { include 5%; * c; }'
    assert _tree({"/etc/nginx/nginx.conf": text.replace(b" 5%", b"")}).problems == ()


def _dump(files: dict[str, bytes]) -> bytes:
    return b"".join(
        b"# configuration file %s:\n%s\n" % (path.encode(), text) for path, text in files.items()
    )


def test_a_dump_gives_its_files_back() -> None:
    included = {path: FILES[path] for path in _tree(FILES).documents}
    noise = b"nginx: configuration file /etc/nginx/nginx.conf test is successful\n"
    assert files_of(noise + _dump(included)) == included


@pytest.mark.parametrize(
    "decoy",
    [
        b"# configuration file /etc/nginx/other.conf:\nserver { }",
        b"# configuration file /etc/nginx/nginx.conf:\nuser x;",
        b"a 'x\n# configuration file /etc/nginx/proxy_params:\n';",
        b"# configuration file relative:\n",
    ],
)
def test_a_line_like_a_mark_inside_a_file_splits_nothing(decoy: bytes) -> None:
    files = {path: FILES[path] for path in _tree(FILES).documents}
    files["/etc/nginx/conf.d/a.conf"] += b"\n" + decoy + b"\n"
    assert files_of(_dump(files)) == files


def test_other_text_is_no_dump() -> None:
    with pytest.raises(NoDumpError):
        files_of(b"user www;\n")
