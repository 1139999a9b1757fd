"""A balancer is a folder and a line: a copy of headgate gets one, and no other file changes."""

import json
import re
from pathlib import Path

import pytest
from feature_copy import PACKAGE, copied, list_of, ran

from headgate.features.registry import BALANCERS

HERE = Path(__file__).parent / "new_balancer"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    line = '    "least_conn",\n'
    return copied(tmp_path_factory.mktemp("copy"), HERE / "pinned", ("balancer", line))


@pytest.fixture(scope="module")
def found(root: Path) -> dict[str, object]:
    said: dict[str, object] = json.loads(ran(root, str(HERE / "probe.py")))
    return said


def test_a_config_with_it_becomes_a_plan(found: dict[str, object]) -> None:
    assert found["faults"] == []
    assert found["plan"] == {
        "app": '{"balance":{"pinned":{"by":"header:x"}},"endpoints":[{"address":"127.0.0.1:3"}]}',
        "word": '{"balance":"pinned","endpoints":[{"address":"127.0.0.1:4"}]}',
    }


def test_a_mistake_in_it_is_found_with_its_place(found: dict[str, object]) -> None:
    (wrong,) = [str(one) for one in list_of(found["wrong"])]
    assert re.match(r"a\.toml:\d+:\d+: upstreams\.app\.balance\.pinned\.bu: ", wrong), wrong
    assert '"by"' in wrong


def test_its_word_is_proposed(found: dict[str, object]) -> None:
    (unknown,) = [str(one) for one in list_of(found["unknown"])]
    assert '"pined" is not a balance policy; write "pinned"' in unknown


def test_what_it_says_of_its_choice_is_asked(found: dict[str, object]) -> None:
    (tcp,) = [str(one) for one in list_of(found["tcp"])]
    assert 'balanced by "header:x", which a TCP connection does not have' in tcp


def test_schema_and_reference_have_it(root: Path, found: dict[str, object]) -> None:
    assert "The pin." in json.dumps(found["schema"])
    code = "import json, reference; print(reference.config_page(json.loads(reference.schema())))"
    page = ran(root, "-c", code)
    assert "### `upstreams.NAME.balance.pinned`" in page
    assert '| `by` | text | `"path"` | The pin. |' in page


def test_the_table_of_balancers_has_it(root: Path) -> None:
    code = "import reference; print(reference.balancers_table())"
    assert "| `pinned` | Keeps a key at its endpoint. | tests |" in ran(root, "-c", code)


def test_it_is_explained(found: dict[str, object]) -> None:
    assert found["explained"] == ["pinned"]


def test_nginx_s_page_and_rendering_ask_it(found: dict[str, object]) -> None:
    assert found["parity"] == ["upstreams.NAME.balance.pinned.by"]
    assert found["nginx"] == ["balance.pinned.by: nginx has no pin by header:x"]
    assert found["lua"] == (
        "workers share no counts and no hash: only round_robin and random are done"
    )


def test_no_other_file_names_the_balancers() -> None:
    words = [f'"{feature.key}"' for feature in BALANCERS]
    imports = [f"headgate.features.balancer.{feature.key}." for feature in BALANCERS]
    for file in sorted(PACKAGE.rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        quoted = [word for word in words if word in text]
        # Examples and nginx's own words are some of them; nobody lists all.
        assert len(quoted) <= 3 or file.name == "registry.py" or "imports" in file.parts, (
            file,
            quoted,
        )
        imported = [name for name in imports if name in text]
        assert not imported or "balancer" in file.parts, (file, imported)
