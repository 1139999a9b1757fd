"""Asks a binary what it accepts: `nginx -t` on one small config for each question.

It concludes nothing from a version. All questions run in one sandbox, without network, each in a
process of a few milliseconds, so that one answer cannot spoil another.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Final

from headgate.engines.nginx.capabilities.snippets import SNIPPETS, Snippet, config
from headgate.engines.nginx.common.types import Capabilities
from headgate.engines.nginx.instance import modules
from headgate.engines.nginx.instance.modules import Module
from headgate.engines.nginx.instance.sandbox import Ran, Sandbox

_TEMPORARY: Final = tuple(
    f"{kind}_temp_path" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
)
_VERSION: Final = re.compile(r"^(?:nginx|openresty|angie|tengine) version: (.+)$", re.MULTILINE)
_TIMEOUT_S: Final = 5.0
_OUTPUT_BYTES: Final = 4096
_EMERG: Final = re.compile(r"\[emerg\] (?:\d+#\d+: )?(.*?)(?: in \S+:\d+)?$", re.MULTILINE)
_SHARE: Final = 16
_AT_ONCE: Final = 2
_NOTHING: Final = Snippet("nothing", "http", "")


class NotProbedError(Exception):
    """The binary does not accept even an empty config; says nginx's words."""


@dataclass(frozen=True, slots=True)
class Probed:
    """The result of the probe, modules that do not load and the reason included.

    `installed`: the modules that were there before, as `cache.installed` puts them.
    """

    capabilities: Capabilities
    modules: tuple[Module, ...]
    installed: str = ""


@dataclass(frozen=True, slots=True)
class Binary:
    """A binary to ask: its path and its config's in its root, and where that root is for us."""

    path: str
    conf: str = "/etc/nginx/nginx.conf"
    root: Path = Path("/")
    sandbox: Sandbox = field(default_factory=Sandbox)

    def digest(self) -> str:
        """Returns the sha256 (hex) of the file; raises OSError."""
        with (self.root / self.path.lstrip("/")).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def build(self) -> str:
        """Returns what `-V` prints; raises NotProbedError when it does not run."""
        ran = self.sandbox.run([[self.path, "-V"]]).results[0]
        if ran.code != 0:
            raise NotProbedError(f"{self.path} -V ended with {ran.code}: {ran.said.strip()}")
        return ran.said


def probed(binary: Binary, build: str) -> Probed:
    """Asks everything in `SNIPPETS`; `build` is `binary.build()`.

    Raises NotProbedError, RightMissingError and OSError as the sandbox does. Takes about 10 ms for
    each question; leaves no trace outside.
    """
    temporary = _temporary(binary)
    paths = modules.files(binary.root, build, binary.conf)
    known = {module.name: module for module in _loadable(binary, paths, temporary)}
    accepted, loaded = _accepted(binary, known, temporary)
    version = _VERSION.search(build)
    capabilities = Capabilities(
        binary_digest=binary.digest(),
        build=build,
        version=version[1] if version else "",
        accepted=frozenset(accepted),
        modules={name: known[name].path for name in sorted(loaded)},
    )
    return Probed(capabilities, tuple(known[name] for name in sorted(known)))


def loads(capabilities: Capabilities, names: Sequence[str]) -> tuple[str, ...]:
    """Returns the files for `load_module` that these accepted names need,
    in the order they need it.
    """
    wanted: dict[str, None] = {}
    for snippet in SNIPPETS:
        if snippet.name in names:
            files = (capabilities.modules.get(module) for module in snippet.modules)
            wanted |= dict.fromkeys(file for file in files if file is not None)
    return tuple(wanted)


def _temporary(binary: Binary) -> tuple[str, ...]:
    """Returns the `*_temp_path` directives that exist:
    we may lack the right to make the built-in folders.
    """
    asked = [Snippet(name, "http", f"{name} {{folder}}/x;") for name in _TEMPORARY]
    ran = _ask(binary, {s.name: config(s, ()) for s in asked})
    names = tuple(name for name in _TEMPORARY if "unknown directive" not in ran[name].said)
    empty = _ask(binary, {"nothing": config(_NOTHING, (), names)})["nothing"]
    if empty.code != 0:
        raise NotProbedError(f"{binary.path} accepts not even an empty config: {_words(empty)}")
    return names


def _loadable(binary: Binary, paths: Sequence[str], temporary: tuple[str, ...]) -> Iterator[Module]:
    """Yields each module with what it needs: nothing, or one of those that load alone."""
    alone = _ask(binary, {path: config(_NOTHING, (path,), temporary) for path in paths})
    first = [path for path in paths if alone[path].code == 0]
    rest = [path for path in paths if alone[path].code != 0]
    pairs = [(helper, path) for path in rest for helper in first]
    ran = _ask(binary, {repr(pair): config(_NOTHING, pair, temporary) for pair in pairs})
    for path in first:
        yield Module(modules.short(path), path)
    for path in rest:
        needs = next(((one,) for one in first if ran[repr((one, path))].code == 0), ())
        yield Module(modules.short(path), path, "" if needs else _words(alone[path]), needs)


def _accepted(
    binary: Binary, known: Mapping[str, Module], temporary: tuple[str, ...]
) -> tuple[set[str], set[str]]:
    """Returns the names accepted, and the modules that they need."""
    bare = _ask(binary, {s.name: config(s, (), temporary) for s in SNIPPETS})
    accepted = {name for name, ran in bare.items() if ran.code == 0}
    with_modules = {}
    for snippet in SNIPPETS:
        files = modules.order(snippet.modules, known)
        if snippet.name not in accepted and snippet.modules and files is not None:
            with_modules[snippet.name] = config(snippet, files, temporary)
    ran = _ask(binary, with_modules)
    by_module = {name for name, result in ran.items() if result.code == 0}
    loaded = {module for s in SNIPPETS if s.name in by_module for module in s.modules}
    return accepted | by_module, loaded


def _ask(binary: Binary, configs: Mapping[str, str]) -> dict[str, Ran]:
    """Runs `-t` on each, many in parallel, since each is one short process."""
    names = list(configs)
    share = max(_SHARE, -(-len(names) // _AT_ONCE))
    shares = [names[at : at + share] for at in range(0, len(names), share)]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        ran = pool.map(lambda part: _ask_some(binary, [configs[name] for name in part]), shares)
        return dict(zip(names, chain.from_iterable(ran), strict=True))


def _ask_some(binary: Binary, configs: Sequence[str]) -> tuple[Ran, ...]:
    files = {f"{number}.conf": text for number, text in enumerate(configs)}
    commands = [[binary.path, "-t", "-q", "-p", "{folder}", "-c", f"{{folder}}/{n}"] for n in files]
    return binary.sandbox.run(
        commands, files, timeout_s=_TIMEOUT_S, output_bytes=_OUTPUT_BYTES
    ).results


def _words(ran: Ran) -> str:
    """Returns the first error, without the name of a file that is gone."""
    found = _EMERG.search(ran.said)
    return found[1] if found else f"it ended with {ran.code}"
