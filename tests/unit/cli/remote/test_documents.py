"""Documents as resources."""

from pathlib import Path

import pytest

from headgate.cli.remote.documents import gather


def _write(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        file = folder / name.replace("__", "/").replace("_", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def test_each_object_of_each_document_is_a_resource(tmp_path: Path) -> None:
    _write(
        tmp_path,
        a_toml='[routes.api]\nhosts = ["a.test"]\nupstream = "api"\n',
        sub__b_yaml="upstreams:\n  api:\n    endpoints: [127.0.0.1:1]\n",
        notes_txt="nothing",
    )
    found = gather([tmp_path])
    assert not found.wrong
    assert {key: one.spec for key, one in found.resources.items()} == {
        ("routes", "api"): {"hosts": ["a.test"], "upstream": "api"},
        ("upstreams", "api"): {"endpoints": ["127.0.0.1:1"]},
    }
    assert found.resources["upstreams", "api"].file.endswith("sub/b.yaml")
    assert found.resources["upstreams", "api"].line == 2


def test_each_path_that_is_named_is_read(tmp_path: Path) -> None:
    texts = {f"{name}_toml": f"[routes.{name}]\n" for name in ("a", "b", "sub__c")}
    _write(tmp_path, **{name: text.replace("sub__", "") for name, text in texts.items()})
    found = gather([tmp_path / "a.toml", tmp_path / "sub", tmp_path / "b.toml"])
    assert [name for _, name in found.resources] == ["a", "c", "b"]


def test_an_object_may_say_which_fleets_it_goes_to(tmp_path: Path) -> None:
    text = '[routes.a]\nfleets = { tier = "front" }\n[routes.b]\nfleets = {}\n[routes.c]\n'
    _write(tmp_path, a_toml=text)
    found = gather([tmp_path])
    assert not found.wrong
    assert {key[1]: (one.spec, one.fleets) for key, one in found.resources.items()} == {
        "a": ({}, {"tier": "front"}),
        "b": ({}, {}),
        "c": ({}, None),
    }


@pytest.mark.parametrize("text", ["edge", "[edge]", "{tier: 1}", "null"])
def test_labels_that_are_none_are_refused_at_their_place(tmp_path: Path, text: str) -> None:
    _write(tmp_path, a_yaml=f"routes:\n  a:\n    fleets: {text}\n")
    (wrong,) = gather([tmp_path]).wrong
    assert (wrong.line, wrong.column) == (3, 5)
    assert wrong.message == "`routes.a.fleets` is not a table of labels"


def test_what_is_written_twice_names_both_places(tmp_path: Path) -> None:
    _write(tmp_path, a_toml="[routes.api]\n", b_toml="\n[routes.api]\n")
    (wrong,) = gather([tmp_path]).wrong
    assert wrong.message.startswith("routes.api is written twice; the first is at")
    assert wrong.message.endswith("a.toml:1")
    assert (Path(wrong.file).name, wrong.line, wrong.column) == ("b.toml", 2, 1)


def test_settings_of_a_node_are_no_resource(tmp_path: Path) -> None:
    _write(tmp_path, a_toml='[node]\nengine = "nginx"\n', b_toml='include = ["x.toml"]\n')
    assert {one.message for one in gather([tmp_path]).wrong} == {
        "`node` is not a resource of a workspace",
        "`include` is not a resource of a workspace",
    }


def test_a_text_with_a_mistake_says_where(tmp_path: Path) -> None:
    _write(tmp_path, a_toml="[routes.api\n")
    (wrong,) = gather([tmp_path]).wrong
    assert wrong.line == 1


def test_hidden_files_are_not_read(tmp_path: Path) -> None:
    _write(tmp_path, **{"_git__x_toml": "[routes.api\n"})
    assert (tmp_path / ".git/x.toml").exists()
    assert not gather([tmp_path]).wrong


def test_templates_and_virtual_hosts_are_read_with_the_lines_of_parameters(tmp_path: Path) -> None:
    text = """\
[templates.site.parameters.address]
type = "string"
per_node = true

[[templates.site.objects]]
kind = "listeners"
name = "web"
spec = { address = "{{ address }}:8080", default = true }

[[templates.site.objects]]
kind = "routes"
name = "all"

[templates.site.objects.spec.respond]
body = "{{ answer }} at {{ address }}"

[virtual_hosts.shop]
template = "site"
"""
    _write(tmp_path, fleet_toml=text)
    found = gather([tmp_path])
    assert not found.wrong
    assert not found.resources
    assert found.virtual_hosts == {"shop": {"template": "site"}}
    source = found.templates["site"]["source"]
    assert source == {"file": "fleet.toml", "lines": {"address": 8, "answer": 15}}
