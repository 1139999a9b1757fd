"""The folder of an import as documents: its model, its kept text, and the files that it names."""

from pathlib import Path

import pytest
from nginx_trees import tree_of_http

from headgate.cli.remote.documents import Gathered, gather
from headgate.cli.remote.imported import folder_of, lacking, secret_names, wrong
from headgate.engines.nginx.imports.bundle import to_files
from headgate.engines.nginx.imports.published import CannotTravelError, checked
from headgate.engines.nginx.imports.recognise import import_tree
from headgate.engines.nginx.imports.source import write_bundle

HASH = "$2b$04$0e856lVe4ANgjk9VYQGbvufRaupb9zxuOKCW5n9uFCwbWH9pMRuYW"
SITE = """
server {
    listen 8080;
    location / { auth_basic all; auth_basic_user_file users; proxy_pass http://10.0.0.1; }
    location /files/ { root /srv; }
}
"""
USERS = "etc-nginx-users"


def bundle(folder: Path) -> Path:
    """An import on disk."""
    place = folder / "shop"
    one = import_tree(tree_of_http(SITE), lambda _path: f"alice:{HASH}\n".encode())
    write_bundle(to_files(one, str(place)), place)
    return place


def edited(folder: Path, name: str, old: str, new: str) -> Gathered:
    """What is gathered of an import of which somebody edited a file."""
    place = bundle(folder)
    (file,) = place.glob(name)
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    return gather([place])


def test_the_kept_text_is_an_object_and_nothing_else_of_the_folder_is(tmp_path: Path) -> None:
    (tmp_path / "more.toml").write_text("[upstreams.more]\n")
    place = bundle(tmp_path)
    for path in (place, place / "headgate.toml", tmp_path):
        found = gather([path])
        assert found.wrong == ()
        kinds = {kind for kind, _ in found.resources if path != tmp_path or kind != "upstreams"}
        assert kinds >= {"listeners", "routes", "middlewares", "nginx_imports"}
        assert not kinds & {"entry", "files", "originals", "node"}
        assert checked(found.resources["nginx_imports", "shop"].spec).entry
    assert ("upstreams", "more") in gather([tmp_path]).resources


def test_the_kept_text_is_written_where_the_model_says_that_it_runs(tmp_path: Path) -> None:
    place = bundle(tmp_path)
    one = gather([place]).resources["nginx_imports", "shop"]
    model = place / "headgate.toml"
    assert one.file == str(model)
    assert one.line > 1
    assert model.read_text().splitlines()[one.line - 1] == "[node.nginx]"


def test_a_model_is_that_of_an_import_only_beside_its_map(tmp_path: Path) -> None:
    place = bundle(tmp_path)
    assert folder_of(place / "headgate.toml") == place
    assert folder_of(place / "other.toml") is None
    (place / "import.json").unlink()
    assert folder_of(place / "headgate.toml") is None


@pytest.mark.parametrize("away", ["headgate.toml", "import.json"])
def test_documents_in_a_folder_that_is_no_import_are_read(tmp_path: Path, away: str) -> None:
    for name in {"headgate.toml", "import.json"} - {away}:
        (tmp_path / name).write_text("")
    (tmp_path / "a.toml").write_text("[routes.a]\n")
    gathered = gather([tmp_path])
    assert list(gathered.resources) == [("routes", "a")]


def test_documents_inside_an_import_are_read_only_where_their_folder_is_named(
    tmp_path: Path,
) -> None:
    place = bundle(tmp_path)
    inside = place / "deep" / "more"
    inside.mkdir(parents=True)
    (inside / "a.toml").write_text("[routes.more]\n")
    assert ("routes", "more") not in gather([tmp_path]).resources
    assert ("routes", "more") not in gather([place]).resources
    assert list(gather([inside]).resources) == [("routes", "more")]


def test_files_of_this_host_become_secret_files(tmp_path: Path) -> None:
    found = gather([bundle(tmp_path)])
    assert found.secrets == {"/etc/nginx/users": USERS}
    (users,) = (one.spec for (kind, _), one in found.resources.items() if kind == "middlewares")
    assert users["basic_auth"]["users"] == {"file": f"secrets/{USERS}"}  # type: ignore[index]
    one = checked(found.resources["nginx_imports", "shop"].spec)
    assert one.secrets == {"/etc/nginx/users": f"secrets/{USERS}"}
    (line,) = lacking(found.secrets, ["other"])
    assert f"headgate create secret {USERS} --from-file /etc/nginx/users" in line
    assert list(lacking(found.secrets, [USERS])) == []


def test_names_of_secret_files_differ_where_paths_do() -> None:
    names = secret_names(["/a/b-c", "/a-b/c", f"/{'x' * 200}", "/.h"])
    assert len(set(names.values())) == 4
    assert names["/.h"] == "h"
    assert all(len(name) <= 128 for name in names.values())
    assert secret_names([f"/{'x' * 100}"]) == {f"/{'x' * 100}": "x" * 100}
    (longer,) = secret_names([f"/{'x' * 101}"]).values()
    assert longer.startswith(f"{'x' * 100}-")


@pytest.mark.parametrize("section", ["access_log", "drain"])
def test_settings_of_the_node_are_refused_at_their_place(tmp_path: Path, section: str) -> None:
    new = f"[node.{section}]\n\n[node.nginx]"
    (wrong,) = edited(tmp_path, "headgate.toml", "[node.nginx]", new).wrong
    assert wrong.message.startswith(f"`node.{section}` cannot be published")
    assert wrong.line > 1


def test_other_settings_of_nginx_are_refused_too(tmp_path: Path) -> None:
    new = '[node.nginx]\nuser = "www"\ngroup = "www"'
    (wrong,) = edited(tmp_path, "headgate.toml", "[node.nginx]", new).wrong
    assert wrong.message.startswith("`node.nginx.user` cannot be published")


def test_the_document_may_say_which_fleets_the_kept_text_goes_to(tmp_path: Path) -> None:
    chosen = '[nginx_imports.shop]\nfleets = { tier = "front" }\n\n[node.nginx]'
    found = edited(tmp_path, "headgate.toml", "[node.nginx]", chosen)
    assert found.wrong == ()
    one = found.resources["nginx_imports", "shop"]
    assert one.fleets == {"tier": "front"}
    assert checked(one.spec).entry


def test_another_text_beside_the_kept_one_is_refused(tmp_path: Path) -> None:
    other = '[nginx_imports.shop]\nentry = "/etc/nginx/other.conf"\n\n[node.nginx]'
    (wrong,) = edited(tmp_path, "headgate.toml", "[node.nginx]", other).wrong
    assert wrong.message.startswith("nginx_imports.shop is written twice")


def test_the_model_alone_has_no_kept_text(tmp_path: Path) -> None:
    text = f'[node.nginx]\nimported = "{tmp_path}/shop"\n'
    found = edited(tmp_path, "headgate.toml", text, "")
    assert found.wrong == ()
    assert not any(kind == "nginx_imports" for kind, _ in found.resources)


def test_a_placeholder_that_somebody_edited_is_refused(tmp_path: Path) -> None:
    (wrong,) = edited(tmp_path, "verbatim/*", "headgate_route", "headgate_rout").wrong
    assert "nginx_imports" not in wrong.message
    assert "cannot be published" in wrong.message


def test_a_folder_that_lacks_a_part_is_refused(tmp_path: Path) -> None:
    place = bundle(tmp_path)
    (file,) = (place / "verbatim").iterdir()
    file.unlink()
    (wrong,) = gather([place]).wrong
    assert "is missing" in wrong.message


def test_an_import_whose_objects_are_no_text_of_a_config_is_refused(tmp_path: Path) -> None:
    (broken,) = edited(tmp_path, "import.json", '"objects": "', '"objects": "[[').wrong
    assert broken.message.startswith("the folder is not a whole import: ")
    assert broken.allowed == "import the config again"


def test_the_part_that_cannot_be_published_is_named(tmp_path: Path) -> None:
    part = wrong(tmp_path, CannotTravelError(("files", "/a"), "is no text", "leave it out"))
    assert part.message == "files./a cannot be published: is no text"
    assert (part.file, part.allowed) == (str(tmp_path), "leave it out")
    whole = wrong(tmp_path, CannotTravelError((), "is too large", "split it"))
    assert whole.message == "the import cannot be published: is too large"
