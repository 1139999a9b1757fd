"""An edit by hand of an imported config's release: what becomes part of the import, and what never
does."""

import difflib
from pathlib import PurePath

import pytest
from nginx_engine import target
from nginx_trees import ENTRY, tree_of

from headgate.compile.load import load
from headgate.engines.nginx.common.types import Capabilities, Rendered
from headgate.engines.nginx.drive.adopting import Adopted, adopted, require_written
from headgate.engines.nginx.drive.imported import render_files
from headgate.engines.nginx.imports.adopting import CannotAdoptError
from headgate.engines.nginx.imports.bundle import as_imported, to_files
from headgate.engines.nginx.imports.changes import NoDifferenceError, hunks_of
from headgate.engines.nginx.imports.document import NAME, ImportedDocument
from headgate.engines.nginx.imports.published import checked, spec_of, to_bundle
from headgate.engines.nginx.imports.recognise import import_tree
from headgate.kernel.redaction import redacted
from headgate.plan.plan import Plan

MAIN = """\
user www-data;
events { worker_connections 512; }
http {
    # the pool
    upstream app { server 10.0.0.1:80; server 10.0.0.2:80; }
    include shared.conf;
    include site.conf;
}
"""
SHARED = "proxy_read_timeout 30s;\n"
SITE = """\
server {
    listen 8080;
    location / { proxy_pass http://app; }
    location /closed/ { deny all; proxy_pass http://app; }
    location /files/ { root /srv; expires 1h; }
}
"""
ABLE = Capabilities("", "", "nginx/1.26", frozenset())


def bundle(spec: dict[str, object]) -> dict[str, bytes]:
    """The files of a published import."""
    return to_bundle(checked(spec), {})


def plan_of(files: dict[str, bytes]) -> Plan:
    """The plan of an import's model."""
    document = ImportedDocument(as_imported(files), files, reads_host=False)
    found = load([PurePath(NAME)], document, {})
    assert found.plan is not None, found.diagnostics
    return found.plan


def release(files: dict[str, bytes], root: str = "/r") -> Rendered:
    """The release of an import."""
    found = render_files(plan_of(files), files, target(root, ABLE), "nginx_imports/site.json")
    assert isinstance(found, Rendered), found
    return found


def conf(found: Rendered) -> str:
    """The nginx.conf of a release."""
    (text,) = (file.content for file in found.files if file.path == "nginx.conf")
    return text.decode()


def diff(before: str, after: str) -> str:
    """What a node reports."""
    old, new = (redacted(text).splitlines(keepends=True) for text in (before, after))
    return "".join(difflib.unified_diff(old, new, "a/nginx.conf", "b/nginx.conf"))


class Site:
    """An import, and its release at a node, which has other folders and a line of its own."""

    def __init__(self, site: str = SITE, main: str = MAIN) -> None:
        tree = tree_of(main, **{"shared.conf": SHARED, "site.conf": site})
        self.files = bundle(spec_of(to_files(import_tree(tree)), {}))
        text = conf(release(self.files, "/var/lib/elsewhere"))
        self.text = text.replace("events {", "worker_processes 4;\nevents {", 1)

    def edited(self, old: str, new: str) -> Adopted:
        """The import with an edit of a text that is once in the release."""
        assert self.text.count(old) == 1, self.text
        return self.with_edit(self.text.replace(old, new))

    def with_edit(self, text: str) -> Adopted:
        """The import with the release that is this text."""
        hunks = hunks_of(diff(self.text, text))
        found = adopted(plan_of(self.files), self.files, target("/r", ABLE), hunks)
        require_written(found, release(bundle(found.spec)))
        return found


def kept(one: Adopted, name: str = "site.conf") -> str:
    """The text of a file, with the lines that stand for what is model."""
    files = one.spec["files"]
    assert isinstance(files, dict)
    return str(files[f"/etc/nginx/{name}"])


def test_an_edit_of_the_model_changes_the_object_and_its_own_file_alone() -> None:
    one = Site().edited("server 10.0.0.2:80;", "server 10.0.0.2:80 weight=3;")
    assert "weight = 3" in str(one.spec["objects"])
    assert "# the pool" in kept(one, "nginx.conf")
    assert "include site.conf;" in kept(one, "nginx.conf")


def test_an_edit_of_kept_text_stays_text_of_the_file_that_it_is_of() -> None:
    one = Site().edited("root /srv;", "root /var/www;")
    assert "root /var/www;" in kept(one)
    assert kept(one, "shared.conf") == SHARED
    assert one.spec["objects"] == Site().edited("expires 1h;", "expires 2h;").spec["objects"]


@pytest.mark.parametrize(
    ("old", "new", "file", "expected"),
    [
        ("        expires 1h;\n", "", "site.conf", "root /srv;"),
        ("expires 1h;", "expires 1h;\n        etag off;", "site.conf", "etag off;"),
        ("root /srv;", "etag off;\n        root /srv;", "site.conf", "etag off;"),
        ("30s;\n", "30s;\n    gzip on;\n", "shared.conf", "gzip on;"),
        (
            "proxy_read_timeout 30s;",
            "proxy_read_timeout 5s;\n    # by night\n    proxy_send_timeout 5s;",
            "shared.conf",
            "# by night",
        ),
    ],
)
def test_lines_come_and_go_where_they_were_edited(
    old: str, new: str, file: str, expected: str
) -> None:
    assert expected in kept(Site().edited(old, new), file)


def test_a_whole_location_comes_and_goes() -> None:
    new = "location /more/ {\n            proxy_pass http://app;\n        }\n        "
    one = Site().edited("location /files/ {", new + "location /files/ {")
    assert "/more/" in str(one.spec["objects"])
    text = Site().text
    at = text.index("        location /files/ {")
    gone = Site().with_edit(text[:at] + text[text.index("}\n", at) + 2 :])
    assert "/files/" not in kept(gone)


def test_several_edits_at_once_are_all_there() -> None:
    site = Site()
    text = site.text.replace("server 10.0.0.1:80;", "server 10.0.0.9:80;")
    one = site.with_edit(text.replace("root /srv;", "root /var/www;"))
    assert "10.0.0.9:80" in str(one.spec["objects"])
    assert "root /var/www;" in kept(one)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("            deny all;\n", "", "the edit is about `deny`"),
        ("root /srv;", "root /srv;\n            allow 10.0.0.1;", "the edit is about `allow`"),
        ("root /srv;", "root /srv;\n            deny 10.0.0.1;", "the edit is about `deny`"),
        ("root /srv;", "root /srv;\n            include more.conf;", "the edit is about `include`"),
        ("location /files/ {", "location /other/ {", "changes the block `location /files/ {`"),
        ("root /srv;", "root /srv", "adds no whole directives"),
        ("root /srv;", "root /srv; }", "adds no whole directives"),
        ("include status.conf;", "", "is a line of headgate's own"),
        ("root /srv;", "root /srv;\nadd_header token x;", "looks like a secret"),
    ],
)
def test_an_edit_that_cannot_be_adopted_says_why(old: str, new: str, why: str) -> None:
    with pytest.raises(CannotAdoptError, match=why):
        Site().edited(old, new)


def test_the_whole_place_that_is_closed_does_not_go() -> None:
    text = Site().text
    at = text.index("        location /closed/ {")
    with pytest.raises(CannotAdoptError, match="the edit is about `deny`"):
        Site().with_edit(text[:at] + text[text.index("}\n", at) + 2 :])


def test_an_edit_of_one_place_of_a_file_that_is_there_twice_is_refused() -> None:
    main = MAIN.replace("include site.conf;", "include site.conf; include two.conf;")
    site = SITE.replace("expires 1h;", "include common.conf;")
    tree = tree_of(
        main,
        **{
            "shared.conf": SHARED,
            "site.conf": site,
            "two.conf": site.replace("8080", "8081"),
            "common.conf": "expires 1h;\n",
        },
    )
    one = Site()
    one.files = bundle(spec_of(to_files(import_tree(tree)), {}))
    one.text = conf(release(one.files))
    at = one.text.index("expires 1h;")
    with pytest.raises(CannotAdoptError, match="a file is there twice"):
        one.with_edit(one.text[:at] + "expires 2h;" + one.text[at + len("expires 1h;") :])


def test_an_edit_of_another_revision_is_refused() -> None:
    one, other = Site(), Site(SITE.replace("8080", "8081"))
    hunks = hunks_of(diff(one.text, one.text.replace("listen 8080", "listen 8080 backlog=9")))
    with pytest.raises(CannotAdoptError, match="are not those of the newest revision"):
        adopted(plan_of(other.files), other.files, target("/r", ABLE), hunks)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "(the contents are not shown)\n",
        "--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n a\n\n(7 more lines)\n",
        "--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n a\n",
    ],
)
def test_a_difference_that_is_not_whole_is_refused(text: str) -> None:
    with pytest.raises(NoDifferenceError):
        hunks_of(text)


def test_the_entry_is_the_same_as_before() -> None:
    assert Site().edited("expires 1h;", "expires 2h;").spec["entry"] == ENTRY
