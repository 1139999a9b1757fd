"""What an imported config is rendered as, and which edits of its model are refused by name."""

from pathlib import Path

from nginx_engine import capabilities, loaded_file, target
from nginx_trees import tree_of_http

from headgate.engines.nginx.common.types import Rendered
from headgate.engines.nginx.drive.imported import render_import
from headgate.engines.nginx.imports.bundle import to_files
from headgate.engines.nginx.imports.recognise import import_tree
from headgate.engines.nginx.imports.source import write_bundle

LOG = "log_format told '$remote_addr $status'; access_log /var/log/told.log told;"
SITE = "server { listen 8080; location / { return 204; } }"
LINE = '[node.access_log]\ntemplate = "${client_ip} ${status}"\n'


def rendered(folder: Path, inside: str, old: str = "", new: str = "") -> Rendered | list[str]:
    """A release of this inside `http`, with an edit of the model; else what of it is refused."""
    bundle = folder / "bundle"
    write_bundle(to_files(import_tree(tree_of_http(inside)), str(bundle)), bundle)
    toml = bundle / "headgate.toml"
    text = toml.read_text()
    assert old in text
    toml.write_text(text.replace(old, new))
    plan = loaded_file(toml).plan
    assert plan is not None
    found = render_import(plan, bundle, target(str(folder), capabilities()))
    if isinstance(found, Rendered):
        return found
    return [f"{one.kind} {one.name}: {one.path}: {one.message.partition(',')[0]}" for one in found]


REFUSED = ["settings node: access_log: is not what the import made of it"]


def test_the_log_is_the_original_one(tmp_path: Path) -> None:
    found = rendered(tmp_path, f"{LOG} {SITE}")
    assert isinstance(found, Rendered)
    (conf,) = (file.content.decode() for file in found.files if file.path == "nginx.conf")
    assert "log_format told '$remote_addr $status';" in conf
    assert "access_log /var/log/told.log told;" in conf
    assert len(found.notes) == 1


def test_another_log_than_the_imported_one_is_refused_by_name(tmp_path: Path) -> None:
    assert rendered(tmp_path, f"{LOG} {SITE}", "told.log", "other.log") == REFUSED


def test_no_log_in_place_of_the_imported_one_is_refused_too(tmp_path: Path) -> None:
    line = LINE + 'sink = { path = "/var/log/told.log" }\n'
    assert rendered(tmp_path, f"{LOG} {SITE}", line) == REFUSED


def test_a_log_that_the_import_did_not_make_is_noted(tmp_path: Path) -> None:
    found = rendered(tmp_path, SITE, "[listeners.", f"{LINE}[listeners.")
    assert isinstance(found, Rendered)
    assert any("nothing writes this log" in note for note in found.notes)


def test_other_settings_of_the_node_are_not_of_the_text(tmp_path: Path) -> None:
    found = rendered(tmp_path, SITE, "[node.nginx]", '[node.nginx]\nmode = "full"')
    assert isinstance(found, Rendered)
