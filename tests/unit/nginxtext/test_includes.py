"""The include graph is nginx's, and a dump is taken apart into the files it was made of."""

from collections import Counter

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


def _chain(length: int, block: bytes = b"include %d;") -> dict[str, bytes]:
    """An entry and files that each include the next one."""
    entry = {"/etc/nginx/nginx.conf": block % 1}
    files = {f"/etc/nginx/{n}": block % (n + 1) for n in range(1, length)}
    return entry | files | {f"/etc/nginx/{length}": b"user www;"}


def test_a_pattern_of_all_but_some_files_reads_those() -> None:
    files = {
        "/etc/nginx/nginx.conf": b"include sites/[^_]*.conf;",
        "/etc/nginx/sites/_off.conf": b"off;",
        "/etc/nginx/sites/on.conf": b"on;",
        "/etc/nginx/sites/^.conf": b"hat;",
    }
    assert [one.directive.name for one in _tree(files).top()] == [b"hat", b"on"]


def test_a_pattern_with_a_class_is_a_problem_wherever_it_is_first() -> None:
    text = b"\ninclude sites/[[:alpha:]]*.conf;\n"
    files = {"/etc/nginx/nginx.conf": text, "/etc/nginx/sites/a.conf": b"a;"}
    assert [str(problem) for problem in _tree(files).problems] == [
        "/etc/nginx/nginx.conf:2:1: the pattern sites/[[:alpha:]]*.conf has a class such as"
        " [:alpha:] or a backslash in brackets, which is not read; write the characters out"
    ]


def test_includes_nest_up_to_a_depth() -> None:
    assert _tree(_chain(100)).problems == ()
    assert [one.directive.name for one in _tree(_chain(100)).top()] == [b"user"]
    (problem,) = _tree(_chain(5_000)).problems
    assert "includes and their blocks are nested more than 100 deep" in problem.message
    assert _tree(_chain(50, b"a { include %d; }")).problems == ()
    assert len(_tree(_chain(51, b"a { include %d; }")).problems) == 1


@pytest.mark.parametrize("form", [b"include %d;\n", b"include %d[x];\ninclude %d*;\n"])
def test_includes_nest_no_deeper_in_files_that_were_read_before(form: bytes) -> None:
    files = _chain(200)
    backwards = b"".join(form.replace(b"%d", b"%d" % n) for n in range(200, 0, -1))
    files["/etc/nginx/nginx.conf"] = backwards
    assert any("more than 100 deep" in one.message for one in _tree(files).problems)


class _Counting(DumpedFiles):
    """Files that count how often they are read."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(files)
        self.reads: Counter[str] = Counter()

    def read(self, path: str) -> bytes:
        self.reads[path] += 1
        return super().read(path)


def test_a_file_that_is_broken_or_missing_is_read_once() -> None:
    text = b"include b*;\ninclude broken;\ninclude gone;\n"
    files = _Counting({"/a": text * 3, "/broken": b"}", "/better": b"include b*;"})
    tree = load("/a", files)
    assert set(files.reads.values()) == {1}
    assert [str(problem) for problem in tree.problems] == [
        "/better:1:1: the file includes itself: /better → /better",
        '/broken:1:1: unexpected "}"',
        "/a:3:1: cannot read /gone: not part of the dump",
        "/a:6:1: cannot read /gone: not part of the dump",
        "/a:9:1: cannot read /gone: not part of the dump",
    ]


def test_a_pattern_that_is_there_often_is_followed_once() -> None:
    many = {f"/d/{n}": b"" for n in range(20_000)}
    tree = load("/d/e", DumpedFiles({"/d/e": b"include [0-9]*;" * 20_000, **many}))
    assert tree.problems == ()
    assert len(tree.documents) == 20_001


def test_the_first_problems_are_enough() -> None:
    assert len(_tree({"/etc/nginx/nginx.conf": b"include gone;" * 1_000}).problems) == 100


def test_include_is_a_value_in_split_clients() -> None:
    text = b'split_clients "$a" $b { include 5%; * c; }'
    assert _tree({"/etc/nginx/nginx.conf": text.replace(b" 5%", b"")}).problems == ()


def _dump(files: dict[str, bytes]) -> bytes:
    return b"".join(
        b"# configuration file %s:\n%s\n" % (path.encode(), text) for path, text in files.items()
    )


def test_a_dump_gives_the_files_of_a_pattern_back_that_leaves_some_out() -> None:
    files = {
        "/etc/nginx/nginx.conf": b"include sites/[^_]*.conf;\n",
        "/etc/nginx/sites/on.conf": b"on;\n",
    }
    assert files_of(_dump(files)) == files


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
