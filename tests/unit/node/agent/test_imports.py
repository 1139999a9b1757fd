"""The import of a bundle becomes a folder from which nginx runs it, or the node says why not."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from nginx_trees import tree_of_http

from headgate.compile.load import load
from headgate.compile.settings import NginxSettings, NodeSettings
from headgate.engines.nginx.imports.bundle import from_files, secrets_of, to_files
from headgate.engines.nginx.imports.published import spec_of
from headgate.engines.nginx.imports.recognise import import_tree
from headgate.engines.nginx.imports.source import read_bundle
from headgate.fleet.manifest import address, manifest_of
from headgate.kernel.diagnostics import Diagnostic
from headgate.node.agent.imports import ImportFolders
from headgate.providers.file.disk import DiskFiles
from headgate.providers.master.bundle import Bundle
from headgate.providers.master.documents import documents

SITE = "server { listen 8080; location / { return 204; } location /a { root /srv; } }"
PATH = "nginx_imports/site.json"
USERS = "secrets/users"


def contents(inside: str = SITE) -> dict[str, bytes]:
    """What a master publishes of an import."""
    files = to_files(import_tree(tree_of_http(inside)))
    spec = spec_of(files, {"/etc/nginx/users": "users"})
    return {PATH: msgspec.json.encode(spec), USERS: b"alice:x\n"}


def bundle(files: Mapping[str, bytes]) -> Bundle:
    """A bundle of these contents."""
    manifest = manifest_of("edge", 1, files)
    return Bundle(
        manifest, manifest.canonical(), b"", {address(one): one for one in files.values()}
    )


@pytest.fixture
def node(tmp_path: Path) -> NodeSettings:
    """The settings of a node with nginx."""
    file = tmp_path / "node.toml"
    file.write_text('[node]\nengine = "nginx"\n')
    found = load([file], DiskFiles(), {}).node
    assert found is not None
    return found


def of(node: NodeSettings, **changed: object) -> NodeSettings:
    """A node with other settings of nginx."""
    return replace(node, nginx=replace(NginxSettings(), **changed))  # type: ignore[arg-type]


def test_nginx_runs_it_from_a_folder_of_its_own(tmp_path: Path, node: NodeSettings) -> None:
    one = bundle(contents())
    found = ImportFolders(tmp_path / "imports").served(node, one)
    assert isinstance(found, NodeSettings)
    assert found.nginx.imported is not None
    folder = Path(found.nginx.imported)
    assert folder.parent == tmp_path / "imports"
    files = read_bundle(folder)
    assert b"root /srv;" in b"".join(from_files(files).verbatim.values())
    assert secrets_of(files) == {"/etc/nginx/users": USERS}
    assert files[USERS] == b"alice:x\n"
    assert folder.stat().st_mode & 0o007 == 0
    assert (folder / USERS).stat().st_mode & 0o007 == 0
    assert documents(one) == []


def test_what_somebody_edits_in_the_folder_is_not_served(
    tmp_path: Path, node: NodeSettings
) -> None:
    folders, one = ImportFolders(tmp_path / "imports"), bundle(contents())
    found = folders.served(node, one)
    assert isinstance(found, NodeSettings)
    (kept,) = Path(found.nginx.imported or "").glob("verbatim/*")
    before = kept.read_bytes()
    kept.write_bytes(b"")
    assert folders.served(node, one) == found
    assert kept.read_bytes() == before


def test_only_the_folder_of_the_last_good_bundle_stays(tmp_path: Path, node: NodeSettings) -> None:
    folders = ImportFolders(tmp_path / "imports")
    first, second = bundle(contents()), bundle(contents(SITE.replace("/srv", "/var/www")))
    folders.served(node, first)
    folders.served(node, second)
    assert len(list((tmp_path / "imports").iterdir())) == 2
    folders.keep(second)
    assert len(list((tmp_path / "imports").iterdir())) == 1
    folders.keep(bundle({"routes/a.json": b"{}"}))
    assert list((tmp_path / "imports").iterdir()) == []


def test_another_secret_file_is_another_folder(tmp_path: Path, node: NodeSettings) -> None:
    folders = ImportFolders(tmp_path / "imports")
    places = {
        found.nginx.imported
        for text in (b"alice:x\n", b"alice:y\n")
        if isinstance(
            found := folders.served(node, bundle(contents() | {USERS: text})), NodeSettings
        )
    }
    assert len(places) == 2


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"imported": "/mine"}, "an imported config of its own"),
        ({"mode": "guest"}, 'this node has `mode = "guest"`'),
        ({"endpoints": "lua"}, "in Lua"),
    ],
)
def test_a_node_that_cannot_run_it_says_why(
    tmp_path: Path, node: NodeSettings, changed: dict[str, object], why: str
) -> None:
    found = ImportFolders(tmp_path / "imports").served(of(node, **changed), bundle(contents()))
    assert isinstance(found, Diagnostic)
    assert found.file == PATH
    assert why in found.message


def test_a_node_that_only_watches_is_left_alone(tmp_path: Path, node: NodeSettings) -> None:
    watching = of(node, mode="observe")
    assert ImportFolders(tmp_path / "imports").served(watching, bundle(contents())) == watching


def test_an_import_without_its_secret_file_is_refused(tmp_path: Path, node: NodeSettings) -> None:
    one = bundle({PATH: contents()[PATH]})
    found = ImportFolders(tmp_path / "imports").served(node, one)
    assert isinstance(found, Diagnostic)
    assert "there is no secrets/users" in found.message
