"""A middleware is a folder and a line: a copy of headgate gets one, and no other file changes."""

import json
import re
from pathlib import Path

import pytest
from feature_copy import PACKAGE, copied, list_of, ran

from headgate.features.registry import MIDDLEWARES

HERE = Path(__file__).parent / "new_middleware"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    line = '    "respond",\n'
    return copied(tmp_path_factory.mktemp("copy"), HERE / "stamp", ("middleware", line))


@pytest.fixture(scope="module")
def found(root: Path) -> dict[str, object]:
    said: dict[str, object] = json.loads(ran(root, str(HERE / "probe.py")))
    return said


def test_a_config_with_it_becomes_a_plan(found: dict[str, object]) -> None:
    assert found["faults"] == []
    assert found["named"] == '{"stamp":{"ink":"blue"}}'
    assert '"middlewares":[{"use":"named"},{"stamp":{"ink":"black"}}]' in str(found["route"])


def test_a_mistake_in_it_is_found_with_its_place(found: dict[str, object]) -> None:
    (wrong,) = [str(one) for one in list_of(found["wrong"])]
    assert re.match(r"a\.toml:\d+:\d+: routes\.r\.middlewares\[1\]\.stamp\.inc: ", wrong), wrong
    assert '"ink"' in wrong


def test_what_it_says_of_its_effects_is_asked(found: dict[str, object]) -> None:
    (raw,) = [str(one) for one in list_of(found["raw"])]
    assert "a middleware rewrites the path" in raw


def test_schema_and_reference_have_it(root: Path, found: dict[str, object]) -> None:
    assert "The colour of the stamp." in json.dumps(found["schema"])
    code = "import json, reference; print(reference.config_page(json.loads(reference.schema())))"
    page = ran(root, "-c", code)
    assert "### `middlewares.NAME.stamp`" in page
    assert '| `ink` | text | `"black"` | The colour of the stamp. |' in page


def test_it_is_explained_and_its_secrets_are_not(found: dict[str, object]) -> None:
    assert found["steps"] == ["stamp", "stamp"]
    veiled = found["veiled"]
    assert isinstance(veiled, dict)
    assert veiled["body"] == "(secret)"
    assert veiled["headers"] == [["ink", "(secret)"]]


def test_nginx_s_page_and_rendering_ask_it(found: dict[str, object]) -> None:
    assert found["parity"] == ["middlewares.NAME.stamp.ink"]
    assert found["nginx"] == ["middlewares[0].stamp.ink: nginx has no red ink"]


def test_no_other_file_names_the_middlewares() -> None:
    words = [f'"{feature.key}"' for feature in MIDDLEWARES]
    imports = [f"headgate.features.middleware.{feature.key}." for feature in MIDDLEWARES]
    for file in sorted(PACKAGE.rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        quoted = [word for word in words if word in text]
        # Imports write some of them; nobody lists all.
        assert len(quoted) <= 3 or file.name == "registry.py", (file, quoted)
        imported = [name for name in imports if name in text]
        assert len(imported) <= 2 or "middleware" in file.parts, (file, imported)
