"""Keeps the imported nginx config of a master's bundle as a folder, from which nginx runs it.

The folder is as `headgate nginx import` writes it, and named by its content; nothing else of the
agent's state is in it.
"""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Final

from headgate.compile.settings import NginxSettings, NodeSettings
from headgate.engines.nginx.imports.published import CannotTravelError, checked, to_bundle
from headgate.engines.nginx.imports.source import read_bundle, write_bundle
from headgate.fleet.manifest import NGINX_IMPORTS, SECRETS, address, resource_of
from headgate.kernel.diagnostics import Diagnostic
from headgate.providers.master.bundle import Bundle

_NAME_LENGTH: Final = 16
_ELSEWHERE: Final = "move the node to another fleet, or publish the config without the import"


class ImportFolders:
    """The folders of imports below one folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def served(self, node: NodeSettings, bundle: Bundle | None) -> NodeSettings | Diagnostic:
        """Returns the settings by which nginx runs the import of a bundle, if it has one; else why
        this node cannot. Raises OSError.
        """
        path = import_path(bundle)
        if bundle is None or path is None or node.nginx.mode == "observe":
            return node
        if why := _refusal(node.nginx):
            return _said(path, why, _ELSEWHERE)
        try:
            spec = json.loads(bundle.file(path) or b"null")
            files = to_bundle(checked(spec), _secrets(bundle))
        except CannotTravelError as wrong:
            where = ".".join((NGINX_IMPORTS, *wrong.part))
            return _said(path, f"{where}: {wrong.what}", wrong.allowed)
        folder = self._root / _name(bundle, path)
        if not folder.is_dir() or read_bundle(folder) != files:
            shutil.rmtree(folder, ignore_errors=True)
            write_bundle(files, folder)
        return replace(node, nginx=replace(node.nginx, imported=str(folder)))

    def keep(self, bundle: Bundle) -> None:
        """Removes the folders of other bundles."""
        path = import_path(bundle)
        name = "" if path is None else _name(bundle, path)
        for folder in self._root.iterdir() if self._root.is_dir() else ():
            if folder.name != name:
                shutil.rmtree(folder, ignore_errors=True)


def import_path(bundle: Bundle | None) -> str | None:
    """Returns the path of the import in a bundle; the master publishes one at most."""
    for entry in bundle.manifest.entries if bundle is not None else ():
        of = resource_of(entry.path)
        if of is not None and of[0] == NGINX_IMPORTS:
            return entry.path
    return None


def _name(bundle: Bundle, path: str) -> str:
    """Returns the folder's name: the address of the import with its secret files."""
    counted = [path, *sorted(_secrets(bundle))]
    addresses = {one.path: one.sha256 for one in bundle.manifest.entries}
    return address("".join(addresses[one] for one in counted).encode())[:_NAME_LENGTH]


def _secrets(bundle: Bundle) -> dict[str, bytes]:
    return {
        one.path: bundle.content[one.sha256]
        for one in bundle.manifest.entries
        if one.path.startswith(SECRETS)
    }


def _refusal(nginx: NginxSettings) -> str:
    """Returns why a node cannot run an import; empty if it can."""
    if nginx.imported is not None:
        return "this node has an imported config of its own (node.nginx.imported)"
    if nginx.mode != "full":
        return f'it is a whole nginx.conf, and this node has `mode = "{nginx.mode}"`'
    if nginx.endpoints == "lua":
        return "it has its endpoints in its own text, and this node has them in Lua"
    return ""


def _said(path: str, what: str, allowed: str) -> Diagnostic:
    return Diagnostic(file=path, line=1, column=1, message=what, allowed=allowed)
