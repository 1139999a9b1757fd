"""Runs imported public nginx configs on both engines beside the nginx they were written for.

    python tests/drills/import_run.py DIRECTORY [--table FILE] [--only TEXT] [--most N]

DIRECTORY as for `import_corpus`. Each unit that the real nginx accepts is served three times, each
in namespaces and a root of its own: by nginx as it is, by an imported config natively, and by an
imported config on the nginx engine. Each gets the same requests, made from names and locations.
1 if a request is answered 2xx or 3xx that the original refuses. Needs root, unshare, ip, nginx.
"""

import argparse
import itertools
import json
import os
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from corpus_root import _SHARED, Root, Stubs
from import_corpus import _GUESSES, Unit, _whole_tree, units
from import_inside import BACKEND
from peers import peer

from headgate.engines.nginx.imports import listens, matching
from headgate.engines.nginx.imports.bundle import to_files
from headgate.engines.nginx.imports.imported import ImportRefusedError
from headgate.engines.nginx.imports.recognise import import_tree
from headgate.engines.nginx.imports.source import write_bundle
from headgate.nginxtext.includes import Located, Tree
from headgate.nginxtext.tree import walk

REQUESTS = 240
"""Asked of each config."""

_OPEN = (200, 400)
_SHOWN = 5
_REPO = Path(__file__).resolve().parents[2]
_INSIDE = """\
for folder in $SHARED; do
    if [ -d "/$folder" ]; then mount --rbind "/$folder" "$ROOT/$folder"; fi
done
for folder in $OURS; do mkdir -p "$ROOT$folder"; mount --rbind "$folder" "$ROOT$folder"; done
mount -t proc proc "$ROOT/proc"
mount --rbind /dev "$ROOT/dev"
exec chroot "$ROOT" "$PYTHON" "$SCRIPT" "$JOB"
"""
_COMMON = ["/", "/x", "/index.html", "/index.php", "/a.php", "/.git/config", "/.htaccess", "/a.css"]
_COMMON += ["/wp-admin/", "/favicon.ico", "/robots.txt", "/status", "/a/b/../c", "/.well-known/x"]
_PLAIN = re.compile(r"[A-Za-z0-9_/.-]+")


class Count(NamedTuple):
    """What came of one config on one engine."""

    equal: int
    refused: int
    different: int
    opened: tuple[str, ...]
    differing: tuple[str, ...]


def requests_of(tree: Tree) -> list[dict[str, Any]]:
    """Requests to every name and location, and to what is none."""
    asked: list[dict[str, Any]] = []
    for server in _servers(tree):
        inside = list(tree.inside(server))
        found = [listens.listen_of(one) for one in inside if one.directive.name == b"listen"]
        places = [one for one in found if one is not None and one.is_address] if found else [None]
        names = [
            _name(value.decode(errors="replace"))
            for one in inside
            if one.directive.name == b"server_name"
            for value in one.directive.values
        ]
        paths = dict.fromkeys(
            [*_COMMON, *itertools.chain.from_iterable(_paths(one) for one in inside)]
        )
        for place, name, path in itertools.product(places, [*names[:2], "nobody.example"], paths):
            address, port = _target(place.address if place else listens.DEFAULT_ADDRESS)
            tls = place is not None and place.tls
            asked.append({"address": address, "port": port, "tls": tls, "host": name, "path": path})
    chance = random.Random(7)  # noqa: S311 - the same requests each time
    if len(asked) > REQUESTS:
        return chance.sample(asked, REQUESTS)
    extra = [{**one, "path": f"{one['path']}?n={n}"} for n in range(REQUESTS) for one in asked]
    return [*asked, *extra][: max(REQUESTS, 1)] if asked else []


def _servers(tree: Tree) -> list[Located]:
    return [
        one
        for block in tree.top()
        if block.directive.name == b"http"
        for one in tree.inside(block)
        if one.directive.name == b"server"
    ]


def _name(text: str) -> str:
    if text in ("", "_") or text.startswith("~"):
        return "www1.example.com"
    return text.replace("*", "any").strip(".") if "$" not in text else "x.example"


def _paths(line: Located) -> list[str]:
    if line.directive.name != b"location":
        return []
    modifier, path = matching.split(line.directive)
    text = path.decode(errors="replace")
    if modifier in (b"~", b"~*"):
        parts = [part for part in _PLAIN.findall(re.sub(r"\\(.)", r"\1", text)) if part]
        joined = "".join(parts)
        ends = [f"/x.{part.strip('./')}" for part in parts]
        return [f"/{joined.lstrip('/')}", f"/a/{joined.lstrip('/')}", *ends]
    if not _PLAIN.fullmatch(text) or not text.startswith("/"):
        return []
    encoded = "/" + text[1:].replace("/", "%2F")
    return [text, f"{text}x", f"{text}/x", f"{text}x.php", f"{encoded}x", f"/{text}", text.upper()]


def _limits(tree: Tree) -> bool:
    """Whether what is answered depends on how quickly it is asked."""
    limits = (b"limit_req", b"limit_conn")
    return any(line.name in limits for each in tree.documents.values() for line in walk(each.nodes))


def _target(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    wild = {"0.0.0.0": "127.0.0.1", "[::]": "::1"}
    return wild.get(host, host.strip("[]")), int(port)


def _backends(root: Root, tree: Tree) -> dict[str, Any]:
    """Where upstreams are: addresses and ports; names are one host of ours."""
    hosts: set[str] = set()
    ports = {80, 443}
    local: set[tuple[str, int]] = set()
    for document in tree.documents.values():
        for line in walk(document.nodes):
            if line.name not in (b"server", b"proxy_pass", b"set") or not line.args:
                continue
            for value in line.values:
                found = re.search(rb"(?:https?://)?([\w.-]+):(\d{2,5})\b", value)
                if found is None:
                    continue
                host, port = found[1].decode(), int(found[2])
                ports.add(port)
                if host == "localhost" or host.startswith("127."):
                    local.add(("127.0.0.1" if host == "localhost" else host, port))
                elif re.fullmatch(r"[\d.]+", host):
                    hosts.add(host)
    place = root.path / "etc/hosts"
    lines = [line for line in place.read_text().splitlines() if not line.endswith(" localhost")]
    moved = [f"{BACKEND} {line.split()[1]}" for line in lines]
    place.write_text("\n".join(["127.0.0.1 localhost", *moved]) + "\n")
    return {"hosts": sorted(hosts), "ports": sorted(ports), "local": sorted(local)}


def _tried(root: Root, name: str, job: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The answers of one server; None if it does not serve."""
    job = {**job, "log": f"/tmp/{name}.log", "answers": f"/tmp/{name}.answers"}
    (root.path / f"tmp/{name}.job").write_text(json.dumps(job))
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "ROOT": str(root.path),
        "SHARED": " ".join(_SHARED),
        "OURS": f"{_REPO} {sys.base_prefix}",
        "PYTHON": sys.executable,
        "SCRIPT": str(_REPO / "tests/drills/import_inside.py"),
        "JOB": f"/tmp/{name}.job",
    }
    words = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-ec", _INSIDE]
    try:
        subprocess.run(words, env=environment, capture_output=True, timeout=400, check=False)
        answers = json.loads((root.path / f"tmp/{name}.answers").read_text())
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return answers if isinstance(answers, list) else None


def _is_refused(answer: dict[str, Any]) -> bool:
    """An answer from 400 up, or a connection closed without one; no answer in time is none."""
    if answer["status"] == 0:
        return str(answer["said"]) != TimeoutError.__name__
    return int(answer["status"]) >= _OPEN[1]


def _said(one: dict[str, Any], old: dict[str, Any], new: dict[str, Any]) -> str:
    heard = (answer["status"] or answer["said"] for answer in (old, new))
    there, here = heard
    return f"{one['host']}{one['path']}: {there} there, {here} here"


def _compared(
    asked: list[dict[str, Any]], there: list[dict[str, Any]], here: list[dict[str, Any]]
) -> Count:
    counts: Counter[str] = Counter()
    opened: list[str] = []
    differing: list[str] = []
    for one, old, new in zip(asked, there, here, strict=True):
        if "not-imported" in new["said"]:
            counts["refused"] += 1
        elif old["status"] == new["status"]:
            counts["equal"] += 1
        else:
            counts["different"] += 1
            differing.append(_said(one, old, new))
        if _is_refused(old) and _OPEN[0] <= new["status"] < _OPEN[1]:
            opened.append(_said(one, old, new))
    return Count(
        counts["equal"], counts["refused"], counts["different"], tuple(opened), tuple(differing)
    )


def tried(unit: Unit, scratch: Path, stubs: Stubs) -> dict[str, Count | str] | None:
    """The counts by engine; None for a unit that the real nginx does not accept or serve."""
    root = Root(scratch, stubs)
    root.fill(unit.base)
    entry = root.entry(str(unit.path.relative_to(unit.base)), is_whole=unit.is_whole)
    if not root.tested(entry, _GUESSES).accepted:
        return None
    tree = _whole_tree(root, entry)
    asked = requests_of(tree)
    if not asked:
        return None
    job = {**_backends(root, tree), "requests": asked}
    job["ready"] = sorted({(one["address"], one["port"]) for one in asked})
    taken = {one["port"] for one in asked}
    job["local"] = [place for place in job["local"] if place[1] not in taken]
    job["status"] = []
    job["limited"] = _limits(tree)
    original = [str(peer("nginx")), "-c", entry, "-g", "daemon off;"]
    there = _tried(root, "original", {**job, "command": original})
    if there is None:
        return None
    try:
        files = to_files(import_tree(tree), "/import")
    except ImportRefusedError as error:
        return {"native": str(error), "nginx": str(error)}
    files["headgate.toml"] = b'node.admin = "off"\n' + files["headgate.toml"]
    write_bundle(files, root.path / "import")
    found: dict[str, Count | str] = {}
    for engine in ("native", "nginx"):
        program = str(Path(sys.executable).with_name("headgate"))
        state = ["--state-dir", f"/state-{engine}"]
        words = [program, "run", "/import/headgate.toml", *state, "--engine", engine]
        own = {"command": words, "status": [program, "status", *state]}
        here = _tried(root, engine, {**job, **own})
        if here is None:
            log = root.path / f"tmp/{engine}.log"
            text = log.read_text(errors="replace") if log.exists() else ""
            lines = [line for line in text.splitlines() if not line.startswith("{")]
            found[engine] = "does not serve: " + (lines or text.splitlines() or [""])[0][:300]
        else:
            found[engine] = _compared(asked, there, here)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Tries units until enough were served; 1 if anything was opened."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--table", type=Path, help="where the table goes, as Markdown")
    parser.add_argument("--only", default="", help="projects with this text in their name")
    parser.add_argument("--most", type=int, default=40, help="how many configs to serve")
    options = parser.parse_args(arguments)
    rows: list[str] = []
    opened = 0
    stubs = Stubs.made()
    for unit in units(options.directory):
        if options.only not in unit.project or len(rows) >= options.most:
            continue
        with tempfile.TemporaryDirectory() as folder:
            scratch = Path(folder) / "root"
            found = tried(unit, scratch, stubs)
        if found is None:
            continue
        cells = [unit.project, str(unit.path.name)]
        for engine in ("native", "nginx"):
            one = found[engine]
            if isinstance(one, str):
                cells.append(one)
                continue
            cells.append(f"{one.equal} / {one.refused} / {one.different} / {len(one.opened)}")
            opened += len(one.opened)
            for text in one.opened:
                sys.stdout.write(f"OPENED on {engine}: {text}\n")
            for text in one.differing[:_SHOWN]:
                sys.stdout.write(f"differs on {engine}: {text}\n")
        rows.append("| " + " | ".join(cells) + " |")
        sys.stdout.write(rows[-1] + "\n")
        sys.stdout.flush()
    head = "| project | config | native: equal / not-imported / different / opened | nginx |\n"
    if options.table:
        options.table.write_text(head + "|---|---|---|---|\n" + "\n".join(rows) + "\n")
    sys.stdout.write(f"{len(rows)} configs served, {opened} requests opened\n")
    return 1 if opened else 0


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("root is needed: each server runs in namespaces of its own")
    sys.exit(main())
