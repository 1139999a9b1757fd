"""Shorthands of the config, and how the JSON Schema shows them.

One value where a list is meant (`address = "a"` is `address = ["a"]`), a bare word where a table
is meant (`balance = "random"`).
"""

from dataclasses import dataclass

from pydantic import BeforeValidator, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


def _listed(value: object) -> object:
    return value if isinstance(value, list) else [value]


@dataclass(frozen=True, slots=True)
class _OrItem:
    """Adds the single item to the JSON Schema of a list."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        items = handler(schema)
        return {"anyOf": [items["items"], items]}


@dataclass(frozen=True, slots=True)
class OrWord:
    """Adds a bare word to the JSON Schema of a table."""

    words: tuple[str, ...] = ()
    """The words that are allowed; none = any text."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        word: JsonSchemaValue = {"enum": list(self.words)} if self.words else {"type": "string"}
        return {"anyOf": [word, handler(schema)]}


ONE_OR_MORE = BeforeValidator(_listed)
OR_ITEM = _OrItem()
"""Annotate a list with both: `Annotated[list[X], ONE_OR_MORE, OR_ITEM]`."""
