"""`headgate schema`: the JSON Schema of the config."""

import json

from headgate.model.schema import config_schema


def schema() -> str:
    """Returns the JSON Schema (2020-12) of a config document, as editors and CI read it."""
    return json.dumps(config_schema(), indent=2, ensure_ascii=False) + "\n"
