"""Compiles configs that a program holds in memory."""

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Final, Protocol, runtime_checkable

import msgspec

from headgate.compile.load import load
from headgate.compile.loaded import Loaded
from headgate.kernel.diagnostics import Diagnostic, Severity, render_text

Config = Mapping[str, object]
"""A config as a tree: tables are mappings, or objects of this library; paths of files are whole."""

_NAME: Final = "/config.json"
"""Not in the working directory: a node that is given the config would look elsewhere."""


class ConfigError(ValueError):
    """A config that is refused; `str()` has a line for each mistake:
    the path of keys to it, what is wrong, and what is allowed.
    """


@runtime_checkable
class Table(Protocol):
    """An object that stands for a table of the config."""

    def to_config(self) -> dict[str, object]:
        """Returns the table."""
        ...


def tree(value: object) -> object:
    """Returns a config in which objects of this library have become tables."""
    if isinstance(value, Table):
        return tree(value.to_config())
    if isinstance(value, Mapping):
        return {str(key): tree(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [tree(item) for item in value]
    return str(value) if isinstance(value, os.PathLike) else value


def text(config: Config) -> bytes:
    """Returns the JSON of a config. Raises ConfigError for a value that JSON does not have."""
    try:
        return msgspec.json.format(msgspec.json.encode(tree(config)), indent=2)
    except TypeError as error:
        raise ConfigError(
            f"the config holds what is no text, number, list or table: {error}"
        ) from None


def compiled(config: Config) -> Loaded:
    """Returns the plan of a config, and what was noticed. Raises ConfigError."""
    loaded = load([PurePath(_NAME)], _Memory(text(config)), {})
    if loaded.plan is None:
        raise refused(one for one in loaded.diagnostics if one.severity is Severity.ERROR)
    return loaded


def refused(errors: Iterable[Diagnostic]) -> ConfigError:
    """Returns the error that tells of these."""
    lines = [msgspec.structs.replace(one, file="config", line=0, column=0) for one in errors]
    return ConfigError(render_text(lines).rstrip("\n"))


class _Memory:
    """A config in memory, beside the files that it names by whole paths."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def read(self, path: PurePath) -> bytes:
        return self._content if str(path) == _NAME else Path(path).read_bytes()

    def glob(self, pattern: PurePath) -> Sequence[PurePath]:
        return sorted(Path(pattern.parent).glob(pattern.name))

    def is_public(self, path: PurePath) -> bool:
        return str(path) != _NAME and bool(Path(path).stat().st_mode & stat.S_IROTH)

    def is_directory(self, path: PurePath) -> bool:
        return Path(path).is_dir()
