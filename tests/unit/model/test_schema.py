"""The JSON Schema says what the model says."""

import json
import tomllib
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
import pytest
from config_text import Document, documents
from hypothesis import given, settings

from headgate.cli.schema import schema
from headgate.model.schema import bounds, choices, config_schema, description, known_keys

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted((ROOT / "examples").glob("*.toml")) + sorted(
    (ROOT / "tests" / "golden" / "plans").glob("*.toml")
)


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    document = json.loads(schema())
    jsonschema.Draft202012Validator.check_schema(document)
    return jsonschema.Draft202012Validator(document)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_examples_follow_it(example: Path, validator: jsonschema.Draft202012Validator) -> None:
    validator.validate(tomllib.loads(example.read_text(encoding="utf-8")))


@settings(max_examples=30)
@given(documents())
def test_configs_without_a_mistake_follow_it(document: Document) -> None:
    jsonschema.Draft202012Validator(config_schema()).validate(document)


def test_every_key_is_described() -> None:
    nodes = [*config_schema()["$defs"].values(), config_schema()]
    for node in nodes:
        for key, prop in node.get("properties", {}).items():
            target = prop
            if "$ref" in prop:
                target = prop | config_schema()["$defs"][prop["$ref"].rpartition("/")[2]]
            assert target.get("description"), key


def test_questions_follow_shorthands_and_maps() -> None:
    assert known_keys(("routes", "r", "match", 0, "headers", "x"))[0] == "exact"
    assert known_keys(("routes", "r", "match", "path")) == ["exact", "prefix", "regex"]
    assert "rewrite" in known_keys(("hosts", "h", "middlewares", 3))
    assert known_keys(("nothing", "at", "all")) == []
    assert choices(("routes", "r", "forward_path")) == ["normalised", "raw"]
    assert bounds(("upstreams", "u", "endpoints", 0, "weight")) == (0, 10_000)
    assert (
        description(("certificates", "c", "cert_file"))
        == "The PEM file of the certificate chain, leaf first"
    )
