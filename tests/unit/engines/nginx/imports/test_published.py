"""An import as the object that a master publishes: the same import again, or the part is named."""

import json
from collections.abc import Iterable
from pathlib import PurePath

import msgspec
import pytest
from nginx_engine import NotRenderedError, target
from nginx_trees import tree_of, tree_of_http

from headgate.compile.load import load
from headgate.engines.nginx.common.types import Capabilities, Rendered
from headgate.engines.nginx.drive.imported import files_of_nodes, render_files
from headgate.engines.nginx.imports.bundle import MAP, as_imported, from_files, to_files
from headgate.engines.nginx.imports.document import NAME, ImportedDocument
from headgate.engines.nginx.imports.published import (
    MOST_BYTES,
    MOST_PART_BYTES,
    CannotTravelError,
    checked,
    host_files,
    spec_of,
    to_bundle,
)
from headgate.engines.nginx.imports.recognise import import_tree
from headgate.nginxtext.includes import Tree
from headgate.plan.plan import Plan

HASH = "$2b$04$0e856lVe4ANgjk9VYQGbvufRaupb9zxuOKCW5n9uFCwbWH9pMRuYW"
USERS = "/etc/nginx/users"
SITE = """
server {
    listen 8080;
    location / { proxy_pass http://10.0.0.1; }
    location /near/ { allow 192.0.2.0/24; deny all; proxy_pass http://10.0.0.1; }
    location /files/ { root /srv; auth_basic there; auth_basic_user_file others; }
    location /users/ {
        auth_basic staff; auth_basic_user_file users; proxy_pass http://10.0.0.1;
    }
}
"""
SECRETS = {USERS: "etc-nginx-users"}
CONTENTS = {"secrets/etc-nginx-users": f"alice:{HASH}\n".encode()}


def bundle(tree: Tree) -> dict[str, bytes]:
    """The files of an import; its users are at hand."""
    return to_files(import_tree(tree, lambda _path: f"alice:{HASH}\n".encode()), "/there")


def spec(inside: str = SITE) -> dict[str, object]:
    """The object of an import of a config with this inside `http`."""
    return spec_of(bundle(tree_of_http(inside)), SECRETS)


def filler(size: int) -> str:
    """Comments of that many bytes, or a few more."""
    line = f"# {'x' * 97}\n"
    return line * (size // len(line) + 1)


def plan_of(files: dict[str, bytes]) -> Plan:
    """The plan of the import's model, which names no file of this host."""
    document = ImportedDocument(as_imported(files), files, reads_host=False)
    found = load([PurePath(NAME)], document, {})
    assert found.plan is not None, found.diagnostics
    return found.plan


def rendered(files: dict[str, bytes], plan: Plan) -> Rendered:
    """The release of an import."""
    able = Capabilities("", "", "nginx/1.26", frozenset())
    found = render_files(plan, files, target("/r", able), "nginx_imports/site.json")
    if isinstance(found, list):
        raise NotRenderedError(found)
    return found


def test_the_object_is_the_same_import_again() -> None:
    files = bundle(tree_of("events { } http { include sites/a.conf; }\n", **{"sites/a.conf": SITE}))
    one = checked(spec_of(files, SECRETS))
    before, after = from_files(files), from_files(to_bundle(one, CONTENTS))
    assert (after.entry, after.verbatim) == (before.entry, before.verbatim)
    assert after.originals == before.originals


def test_the_object_has_nothing_that_a_database_cannot_hold() -> None:
    text = msgspec.json.encode(spec()).decode()
    assert "\\u0000" not in text
    assert json.loads(text) == spec()


def test_files_that_the_model_names_are_those_that_the_master_sends() -> None:
    one = checked(spec())
    assert one.secrets == {USERS: "secrets/etc-nginx-users"}
    assert "secrets/etc-nginx-users" in one.objects
    files = to_bundle(one, CONTENTS)
    release = {file.path: file for file in rendered(files, plan_of(files)).files}
    conf = release["nginx.conf"].content.decode()
    assert "auth_basic_user_file imported/etc-nginx-users;" in conf
    assert release["imported/etc-nginx-users"].content == CONTENTS["secrets/etc-nginx-users"]
    assert release["imported/etc-nginx-users"].mode == 0o640
    assert files_of_nodes(files) == ["/etc/nginx/others"]


def test_kept_parts_are_the_original_words() -> None:
    files = to_bundle(checked(spec()), CONTENTS)
    (conf,) = (
        file.content.decode()
        for file in rendered(files, plan_of(files)).files
        if file.path == "nginx.conf"
    )
    for line in ("allow 192.0.2.0/24;", "deny all;", "root /srv;", "auth_basic there;"):
        assert line in conf
    assert "auth_basic_user_file /etc/nginx/others;" in conf


def test_a_secret_file_that_is_missing_is_named() -> None:
    with pytest.raises(CannotTravelError, match=r"secrets./etc/nginx/users: there is no"):
        to_bundle(checked(spec()), {})


def test_settings_of_the_node_are_not_part_of_the_object() -> None:
    log = "log_format told '$remote_addr $status'; access_log /var/log/told.log told;"
    assert "node" not in checked(spec(log + SITE)).objects


def test_a_file_that_is_not_utf_8_is_named_with_its_line() -> None:
    files = bundle(tree_of_http(SITE))
    place = next(name for name in files if name.startswith("verbatim/"))
    files[place] = files[place] + b"# caf\xe9\n"
    with pytest.raises(CannotTravelError, match=r"files./etc/nginx/nginx.conf: line \d+ is not"):
        spec_of(files, SECRETS)


def test_a_part_that_is_too_large_is_named() -> None:
    files = bundle(tree_of_http(f"{SITE}\n{filler(MOST_PART_BYTES)}"))
    with pytest.raises(CannotTravelError, match=r"nginx.conf: \d+ bytes are too many"):
        spec_of(files, SECRETS)


def test_an_import_that_is_too_large_as_a_whole_is_refused() -> None:
    several = {f"sites/{n}": filler(MOST_PART_BYTES - 100) for n in range(5)}
    assert len(several) * MOST_PART_BYTES > MOST_BYTES
    tree = tree_of("events { } http { include sites/*; }\n", **several)
    with pytest.raises(CannotTravelError, match="bytes are too many; at most"):
        spec_of(bundle(tree), {})


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("entry", "/etc/other.conf", "other.conf"),
        ("entry", 1, "Expected `str`"),
        ("files", {"/etc/nginx/nginx.conf": "http {"}, "is not closed"),
        ("files", {"/etc/nginx/nginx.conf": "include more.conf;"}, "more.conf"),
        ("files", {"/etc/nginx/nginx.conf": "headgate_route none;"}, "not as the import wrote it"),
        (
            "files",
            {"/etc/nginx/nginx.conf": "headgate_rout a;"},
            "names that begin with headgate_ are ours",
        ),
        ("files", {"/etc/nginx/nginx.conf": "a {" * 102 + "b;" + "}" * 102}, "nested too deep"),
        ("originals", [{"line": "headgate_route a;", "text": "a {"}], "originals.0"),
        ("originals", [{"line": "deny all;", "text": ""}], "not one `headgate_…` line"),
        ("originals", [{"line": "}", "text": ""}], "originals.0"),
        ("objects", "[", "it is not TOML"),
        ("objects", '[certificates.a]\ncert_file = "/etc/shadow"', "/etc/shadow is a file of a"),
        ("secrets", {"users": "secrets/a"}, "is not a secret file"),
        ("secrets", {"/etc/users": "secrets/../a"}, "is not a secret file"),
        ("more", 1, "unknown field"),
    ],
)
def test_what_is_not_an_import_is_refused(key: str, value: object, said: str) -> None:
    with pytest.raises(CannotTravelError) as wrong:
        checked({**spec(), key: value})
    assert said in str(wrong.value)


def test_files_that_include_each_other_again_and_again_are_refused() -> None:
    texts = {"/etc/nginx/nginx.conf": "include 0;" * 50, "/etc/nginx/9": "a;"}
    texts |= {f"/etc/nginx/{n}": f"include {n + 1};" * 50 for n in range(9)}
    with pytest.raises(CannotTravelError, match="its includes make more than"):
        checked({**spec(), "files": texts, "originals": []})


@pytest.mark.parametrize(
    ("entry", "names"),
    [
        # Many patterns, each of which is held against many files.
        (
            "".join(f"include [a-z]{n:x}*;" for n in range(7_000)),
            (f"d{n:x}" for n in range(20_000)),
        ),
        # One pattern that is there often, of empty files.
        ("include d*;" * 11_000, (f"d{n:x}" for n in range(20_000))),
        # One pattern that takes long for each name.
        ("".join(f"include d*{'?' * 999}{n};" for n in range(100)), ["d" * 99_999, "d" * 99_998]),
    ],
    ids=["patterns", "files", "names"],
)
def test_patterns_that_match_too_much_are_refused(entry: str, names: Iterable[str]) -> None:
    texts = {"/e/nginx.conf": entry} | {f"/e/{name}": "" for name in names}
    with pytest.raises(CannotTravelError) as wrong:
        checked({"entry": "/e/nginx.conf", "files": texts, "originals": [], "objects": ""})
    assert wrong.value.part == ("files",)
    assert "its includes" in wrong.value.what


def test_an_original_that_stands_in_many_places_is_refused() -> None:
    line = "headgate_route none;"
    body = {
        "entry": "/e",
        "files": {"/e": line * 6_000},
        "originals": [{"line": line, "text": "a;" * (MOST_PART_BYTES // 2)}],
        "objects": "",
    }
    with pytest.raises(CannotTravelError, match="with the text that it stands for"):
        checked(body)


def test_the_model_of_the_object_reads_nothing_of_the_host() -> None:
    files = to_bundle(checked(spec()), CONTENTS)
    mapped = json.loads(files[MAP])
    mapped["objects"] = mapped["objects"].replace("secrets/etc-nginx-users", "/etc/passwd")
    files[MAP] = json.dumps(mapped).encode()
    with pytest.raises(NotRenderedError):
        rendered(files, plan_of(to_bundle(checked(spec()), CONTENTS)))


def test_host_files_are_those_of_keys_that_name_files() -> None:
    table = {"users": {"file": "/a"}, "cert_file": "/b", "path": "/c", "key_file": "d"}
    assert list(host_files(table)) == ["/a", "/b"]
