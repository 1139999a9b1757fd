"""Finds where objects are written, for messages about a config in force."""

from collections.abc import Mapping, Sequence

from headgate.compile.loaded import Place
from headgate.compile.sources import EntryKey, Source
from headgate.kernel.diagnostics import ConfigPath
from headgate.model import environment
from headgate.model.config import SECTION_OF
from headgate.model.text import position
from headgate.plan.kinds import Kind


class TextOrigins:
    """The documents of one load; positions are computed on demand."""

    def __init__(self, sources: Sequence[Source], written: Mapping[EntryKey, str]) -> None:
        """`written` has the key in the text of objects whose canonical name is another."""
        self._sources = sources
        self._written = written

    def place(self, kind: Kind, name: str, path: ConfigPath) -> Place | None:
        """Returns where an object, or something below it, is written; None if it is not."""
        if kind == "settings":
            key: EntryKey = ("node", str(path[0]) if path else "")
            whole: ConfigPath = ("node", *path)
        else:
            section = SECTION_OF[kind]
            key = (section, self._written.get((section, name), name))
            whole = (*key, *path)
        source = next((source for source in self._sources if source.defines(key)), None)
        if source is None or source.document is None:
            return None
        if source.name == environment.NAME:
            return Place(source.name, 0, 0)
        return Place(source.name, *position(source.document, whole, "key"))
