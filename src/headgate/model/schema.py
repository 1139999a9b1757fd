"""The config's JSON Schema, and queries about it: the known keys and values at a path."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from headgate.kernel.units import ByteSize, Duration, FineDuration
from headgate.model.config import TOP_LEVEL, Config

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


class _Generator(GenerateJsonSchema):
    """Leaves null out, since an absent key means it, and shows defaults as users write them."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def encode_default(self, dft: object) -> object:
        if isinstance(dft, Duration | FineDuration | ByteSize):
            return str(dft)
        if isinstance(dft, list):
            return [self.encode_default(item) for item in dft]
        if isinstance(dft, BaseModel):
            return {}
        return super().encode_default(dft)

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        out = super().default_schema(schema)
        default = out.get("default")
        if default is None or default in ({}, []):
            out.pop("default", None)
        elif default == 0 and {"const": "off"} in out.get("anyOf", ()):
            out["default"] = "off"
        return out


@cache
def config_schema() -> JsonSchemaValue:
    """Returns the JSON Schema (2020-12) of a config document; callers must not modify it."""
    schema = Config.model_json_schema(schema_generator=_Generator, mode="validation")
    _untitle(schema)
    return {"$schema": DIALECT, "title": "headgate config", **schema}


def _untitle(node: object) -> None:
    """Removes the titles that Pydantic derives from names; they add nothing."""
    if isinstance(node, dict):
        if isinstance(node.get("title"), str):
            del node["title"]
        for value in node.values():
            _untitle(value)
    elif isinstance(node, list):
        for value in node:
            _untitle(value)


def at(path: Sequence[str | int]) -> list[JsonSchemaValue]:
    """Returns the alternatives that are allowed at a path; none if nothing is."""
    found = list(_alternatives(config_schema()))
    for part in path:
        found = [choice for schema in found for choice in _below(schema, part)]
    return found


def known_keys(path: Sequence[str | int]) -> list[str]:
    """Returns the keys of the table at a path, in the order of the reference."""
    keys = (key for schema in at(path) for key in schema.get("properties", {}))
    return list(dict.fromkeys(keys))


def choices(path: Sequence[str | int]) -> list[str | int]:
    """Returns the words and numbers allowed at a path, if it allows only listed ones."""
    found: list[str | int] = []
    for schema in at(path):
        found += schema.get("enum", [schema["const"]] if "const" in schema else [])
    return found


def tables_with(key: str, instead_of: Sequence[str | int], most: int = 3) -> list[str]:
    """Returns the tables that have a key, as headers of the config;
    those above or below the path first.
    """
    here = [str(part) if part in TOP_LEVEL else "NAME" for part in instead_of[:2]]
    found = [table for table, keys in tables().items() if key in keys]
    mine = [table for table in found if table[:1] == tuple(here[:1])] or found
    return [f"[{'.'.join(table)}]" for table in mine[:most]]


@cache
def tables() -> Mapping[tuple[str, ...], frozenset[str]]:
    """Returns every table except the root, by its keys; `NAME` stands for any name."""
    found: dict[tuple[str, ...], frozenset[str]] = {}

    def walk(schema: JsonSchemaValue, at: tuple[str, ...]) -> None:
        for choice in _alternatives(schema):
            properties = choice.get("properties", {})
            if properties and at:
                found[at] = found.get(at, frozenset()) | properties.keys()
            for key, inner in properties.items():
                walk(inner, (*at, key))
            for inner, more in (("additionalProperties", ("NAME",)), ("items", ())):
                if isinstance(choice.get(inner), dict):
                    walk(choice[inner], (*at, *more))

    walk(config_schema(), ())
    return dict(sorted(found.items(), key=lambda item: len(item[0])))


def bounds(path: Sequence[str | int]) -> tuple[int | None, int | None]:
    """Returns the smallest and largest number allowed at a path."""
    for schema in at(path):
        if "minimum" in schema or "maximum" in schema:
            return schema.get("minimum"), schema.get("maximum")
    return None, None


def description(path: Sequence[str | int]) -> str:
    """Returns the first sentence about the key at a path,
    without the full stop; empty without one.
    """
    *parent, key = path
    for schema in at(parent):
        prop = schema.get("properties", {}).get(key)
        if prop and "description" in prop:
            return str(prop["description"]).partition(". ")[0].rstrip(".")
    return ""


def _below(schema: JsonSchemaValue, part: str | int) -> Iterator[JsonSchemaValue]:
    if isinstance(part, int):
        inner: Mapping[str, object] | None = schema.get("items")
    else:
        inner = schema.get("properties", {}).get(part)
        extra = schema.get("additionalProperties")
        if inner is None and isinstance(extra, dict):
            inner = extra
    if inner is not None:
        yield from _alternatives(dict(inner))


def _alternatives(schema: JsonSchemaValue) -> Iterator[JsonSchemaValue]:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        yield from _alternatives(config_schema()["$defs"][name])
        return
    inner = schema.get("anyOf") or schema.get("oneOf")
    if inner:
        for choice in inner:
            yield from _alternatives(choice)
    else:
        yield schema
