"""`${env:NAME}` in a document's values, replaced before they are typed."""

import re
from collections.abc import Mapping
from typing import Final

from headgate.features.fields import EnvText
from headgate.kernel.diagnostics import ConfigPath
from headgate.kernel.utf8 import is_utf8
from headgate.model.problems import Problem

MARK: Final = "${env:"
"""Text that has no such mark needs no replacing."""

_REFERENCE = re.compile(r"\$\{env:([^}]*)\}")
_NAME_ALLOWED = "set it where headgate runs, or name another variable"
_TEXT_ALLOWED = "set it to text in UTF-8, or name another variable"


def resolved(
    value: object, path: ConfigPath, env: Mapping[str, str]
) -> tuple[object, tuple[Problem, ...]]:
    """Returns the value with every `${env:NAME}` replaced, and what could not be.

    Text that held a reference becomes `EnvText`; a variable that is not set, or not to UTF-8,
    becomes empty text and a problem. Keys are left alone.
    """
    found: list[Problem] = []

    def walk(node: object, at: ConfigPath) -> object:
        if isinstance(node, str):
            return _text(node, at) if MARK in node else node
        if isinstance(node, list):
            return [walk(item, (*at, index)) for index, item in enumerate(node)]
        if isinstance(node, dict):
            return {key: walk(item, (*at, str(key))) for key, item in node.items()}
        return node

    def _text(text: str, at: ConfigPath) -> str:
        return EnvText(_REFERENCE.sub(lambda reference: _value(reference[1], at), text))

    def _value(name: str, at: ConfigPath) -> str:
        value = env.get(name)
        if value is None:
            what = f'the environment has no variable "{name}"'
            found.append(Problem(at, what, _NAME_ALLOWED))
            return ""
        if not is_utf8(value):
            found.append(Problem(at, f'the variable "{name}" is not UTF-8', _TEXT_ALLOWED))
            return ""
        return value

    return walk(value, path), tuple(found)
