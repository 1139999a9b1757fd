"""A provider whose documents are loaded again and again, each time with what served before."""

from collections.abc import Mapping
from pathlib import Path, PurePath

from memory_files import MemoryFiles

from headgate.compile.compiler import Compiler
from headgate.compile.loaded import Loaded
from headgate.compile.quarantine import LastGood, Refusal
from headgate.compile.sources import Given, Trust
from headgate.fleet.manifest import Json, resource_bytes, resource_path
from headgate.plan.kinds import ObjectKey
from headgate.providers.master.forms import LastForms

Resources = Mapping[tuple[str, str], Json]


class Provider:
    """Loads resources again and again, as a provider's documents; each load that works serves."""

    def __init__(self, secrets: Mapping[str, bytes] | None = None) -> None:
        """`secrets`: files that come with the documents, such as `secrets/a.pem`."""
        self._compiler = Compiler()
        self.good = LastGood()
        self.secrets = dict(secrets or {})
        self._quarantined: frozenset[ObjectKey] = frozenset()

    def load(self, resources: Resources, *refused: Refusal) -> Loaded:
        """What the resources say, with what was served before; `refused` by an engine."""
        documents = {
            resource_path(*key): resource_bytes({key[0]: {key[1]: spec}})
            for key, spec in resources.items()
        }
        files = MemoryFiles({**documents, **self.secrets})
        paths = [Given(PurePath(p), Trust.QUARANTINE, PurePath()) for p in sorted(documents)]
        loaded = self._compiler.load(paths, files, {}, self.good, refused)
        if loaded.plan is not None:
            self.good = loaded.good
            self._quarantined = frozenset(loaded.quarantined)
        return loaded

    def restart(self, folder: Path) -> None:
        """Forgets all but what is kept on disk of the last good forms, here in this folder."""
        forms = LastForms(folder)
        forms.write(self.good, self._quarantined)
        self.good = forms.read()
        self._compiler = Compiler()


def forms(loaded: Loaded) -> dict[str, str]:
    """The names of what is quarantined, each with the form that is served."""
    return {str(key.name): one.form for key, one in loaded.quarantined.items()}
