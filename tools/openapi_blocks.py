"""The REST API's reference as blocks, made of the OpenAPI page; Markdown and HTML show them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

Json = Mapping[str, Any]

_METHODS: Final = ("get", "post", "put", "patch", "delete")
_BOUNDS: Final = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "maxProperties": "at most {} entries",
    "pattern": "matches `{}`",
    "default": "`{}` if left out",
}


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of level 1 to 3. In texts `…` is code, and `[Name]` links the schema Name."""

    level: int
    text: str
    is_schema: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows below a head."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


Block = Heading | Text | Table


def blocks(page: Json) -> Iterator[Block]:
    """Yields the whole reference."""
    yield Heading(1, "The routes of the REST API")
    yield Text(str(page["info"]["description"]))
    yield Text(
        "Every route can also answer with a `[Problem]`, media type `application/problem+json`."
    )
    nouns: dict[str, list[tuple[str, str, Json]]] = {}
    for path, methods in page["paths"].items():
        for method in _METHODS:
            if method in methods:
                one = methods[method]
                nouns.setdefault(one["tags"][0], []).append((method.upper(), path, one))
    for noun, operations in nouns.items():
        yield Heading(2, noun.replace("-", " ").capitalize())
        for method, path, one in operations:
            yield from _operation(method, path, one)
    yield Heading(2, "Objects")
    for name, schema in sorted(page["components"]["schemas"].items()):
        yield from _schema(name, schema)


def _operation(method: str, path: str, one: Json) -> Iterator[Block]:
    yield Heading(3, f"`{method} {path}`")
    yield Text(" ".join(str(one.get("description", "")).split()))
    facts = [f"Permission: `{one['x-permission']}`."]
    if body := one.get("requestBody"):
        facts.append(f"Takes {_type(body['content']['application/json']['schema'])}.")
    for status, answer in one["responses"].items():
        if not status.startswith("2"):
            continue
        facts.append(f"Answers {status}{_with(answer.get('content', {}))}.")
    yield Text(" ".join(facts))
    if parameters := one.get("parameters"):
        rows = tuple(
            (f"`{each['name']}`", each["in"], _type(each["schema"]), _said(each, each["schema"]))
            for each in parameters
        )
        yield Table(("parameter", "in", "type", "meaning"), rows)


def _with(content: Json) -> str:
    for media_type, one in content.items():
        if media_type != "application/json":
            return f" with `{media_type}`"
        if one.get("schema"):
            return f" with {_type(one['schema'])}"
    return ""


def _schema(name: str, schema: Json) -> Iterator[Block]:
    yield Heading(3, name, is_schema=True)
    if text := str(schema.get("description", "")):
        yield Text(" ".join(text.split()))
    properties = schema.get("properties", {})
    if not properties:
        yield Text(f"Type: {_type(schema)}.")
        return
    required = schema.get("required", ())
    rows = tuple(
        (f"`{key}`", _type(one), "yes" if key in required else "no", _said(one, one))
        for key, one in properties.items()
    )
    yield Table(("field", "type", "required", "meaning"), rows)


def _said(one: Json, schema: Json) -> str:
    """Returns the description of a value: its meaning, and its bounds."""
    texts = [str(one.get("description", "")).strip()]
    texts += [
        text.format(schema[key])
        for key, text in _BOUNDS.items()
        if schema.get(key) not in (None, {}, [], "")
    ]
    return "; ".join(text.removesuffix(".") for text in texts if text)


def _type(schema: Json) -> str:
    """Returns a schema in a few words."""
    if ref := schema.get("$ref"):
        return f"`[{ref.rpartition('/')[2]}]`"
    if options := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(_type(one) for one in options)
    if values := schema.get("enum") or ([schema["const"]] if "const" in schema else []):
        return " or ".join(f"`{one}`" for one in values)
    return _plain(schema)


def _plain(schema: Json) -> str:
    kind = schema.get("type", "any JSON")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"map to {_type(schema['additionalProperties'])}"
    return str(schema.get("format", kind))
