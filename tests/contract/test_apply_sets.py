"""Documents of sets, against the whole REST application: each set keeps to its own objects."""

import json
from pathlib import Path

import pytest
from fleet_site import Site

UPSTREAM = '[upstreams.{name}]\nendpoints = ["127.0.0.1:{port}"]\n'


@pytest.fixture
def database_url() -> str:
    """The commands see no database: one is enough."""
    return ""


class Sets:
    """A file of documents for each set."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.person = site.person
        self.folder = folder

    def apply(
        self, set_name: str, *words: str, port: int = 9001, code: int = 0, **more: str
    ) -> str:
        """Applies one upstream of that name as the set, or no document at all."""
        folder = self.folder / set_name
        folder.mkdir(exist_ok=True)
        name = more.get("name", "")
        text = UPSTREAM.format(name=name, port=port) if name else ""
        (folder / "a.toml").write_text(text)
        said: str = self.person.run(
            "apply", "-f", str(folder), "--set", set_name, *words, code=code
        )
        return said

    def there(self, *words: str) -> dict[str, str]:
        """The sets of upstreams, by name."""
        listed = json.loads(self.person.run("get", "upstreams", "-o", "json", *words))
        return {one["name"]: one["set"] for one in listed}


@pytest.fixture
def sets(site: Site, tmp_path: Path) -> Sets:
    return Sets(site, tmp_path)


def test_a_set_prunes_only_its_own_objects(sets: Sets) -> None:
    sets.apply("web", name="a")
    sets.apply("api", name="b")
    sets.apply("default", name="c")
    assert sets.there() == {"a": "web", "b": "api", "c": "default"}
    assert sets.there("--filter", "set=web") == {"a": "web"}
    assert sets.apply("web", "--prune") == "removed  upstreams/a\n"
    assert sets.there() == {"b": "api", "c": "default"}
    assert sets.apply("default", "--prune") == "removed  upstreams/c\n"
    assert sets.there() == {"b": "api"}


def test_an_object_of_another_set_is_refused_until_it_is_taken_over(sets: Sets) -> None:
    sets.apply("web", name="a")
    for words in ((), ("--preview",)):
        said = sets.apply("api", *words, name="a", port=9002, code=1)
        assert 'upstreams/a belongs to the set "web"' in said
    assert sets.there() == {"a": "web"}
    shown = sets.apply("api", "--take-over", "--preview", name="a", port=9002)
    assert shown.startswith("taken    upstreams/a\n")
    assert sets.there() == {"a": "web"}, "a preview changes nothing"
    assert sets.apply("api", "--take-over", name="a", port=9002) == "taken    upstreams/a\n"
    assert sets.there() == {"a": "api"}
    assert sets.apply("api", name="a", port=9002) == "everything is as the documents say\n"
    assert "belongs to" in sets.apply("web", name="a", code=1)
    assert sets.apply("web", "--prune") == "everything is as the documents say\n"


def test_what_one_set_has_is_compared_exported_and_removed_by_its_name(
    sets: Sets, tmp_path: Path
) -> None:
    sets.apply("web", name="a")
    sets.apply("api", name="b")
    person, out = sets.person, tmp_path / "out"
    files = str(tmp_path / "web")
    assert person.run("diff", "-f", files, "--set", "web") == "no object differs\n"
    assert "- upstreams/b" in person.run("diff", "-f", files)
    assert "--set needs -f" in person.run("diff", "--fleet", "edge", "--set", "web", code=2)
    assert person.run("export", str(out), "--set", "api") == f"1 documents are in {out}\n"
    assert [one.name for one in (out / "upstreams").iterdir()] == ["b.yaml"]
    refused = person.run("delete", "upstream", "a", code=1)
    assert 'upstreams/a belongs to the set "web", not to "default"' in refused
    assert person.run("delete", "upstream", "a", "--set", "web") == "upstream a is removed\n"
    assert sets.there() == {"b": "api"}


def test_a_virtual_host_belongs_to_its_set_with_what_it_makes(sets: Sets, tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_text(
        '[templates.pool]\nparameters = { host = { type = "upstream" } }\n'
        'objects = [{ kind = "upstreams", name = "{{ host }}",'
        ' spec = { endpoints = ["127.0.0.1:1"] } }]\n'
        '[virtual_hosts.shop]\ntemplate = "pool"\nvalues = { host = "shop" }\n'
    )
    words = ("apply", "-f", str(file), "--set")
    sets.person.run(*words, "web")
    assert sets.there() == {"shop": "web"}
    said = sets.person.run(*words, "api", code=1)
    assert 'templates/pool belongs to the set "web"' in said
    assert 'virtual_hosts/shop belongs to the set "web"' in said
    assert sets.person.run(*words, "api", "--take-over") == (
        "taken    templates/pool\ntaken    virtual_hosts/shop\n"
    )
    assert sets.there() == {"shop": "api"}
    assert sets.apply("web", "--prune") == "everything is as the documents say\n"
    assert sets.apply("api", "--prune") == "removed  virtual_hosts/shop\n"
    assert sets.there() == {}
