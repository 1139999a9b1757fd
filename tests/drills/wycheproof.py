"""Signed tokens of a public suite, sent to a running node: what it takes, and what it refuses.

`python tests/drills/wycheproof.py` has Go fetch one version of Project Wycheproof (C2SP,
Apache-2.0), which is a module of Go; `--vectors FOLDER` takes its `testvectors_v1` from elsewhere.
It asks the network, so it is not in CI. It prints tables, and ends with 1 if a token got another
answer than the one that the suite or `DIFFERENCES` has.

Most payloads there are no claims ("foo"). A node refuses those, too, but only after it found the
signature right. So a token counts as accepted if the answer is 200, or if the node calls it
malformed although its three parts are well-formed: then only its payload was wrong.
"""

import argparse
import base64
import hashlib
import http.client
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import drill_parts  # noqa: F401 - it makes the tests' support importable
from ports import free_port
from running_node import RunningNode
from waiting import DEADLINE_S

from headgate.features.middleware.jwt.keys import set_problem

MODULE: Final = "github.com/c2sp/wycheproof@v0.0.0-20260902155932-3fa63dd0344a"
FILES: Final = {
    "json_web_signature_test.json": (
        "8e687a06fe8359f4ec51480f1a9f73c8faebd6f4c01b818b843b44eee54fd5d9"
    ),
    "json_web_key_test.json": "be983255bce26406f97020ec5458b33930a90d5f868e604fcd569c300aba2862",
}
"""What is sent, and the SHA-256 of each."""

_SIGNATURES: Final = "json_web_signature"
_NAME: Final = (
    "`ES521` is not the name of an algorithm (RFC 7518 §3.4 has `ES512`); the key is passed over"
)
_OTHER: Final = "the key says PS256 and the token PS384: a key has the one algorithm that it names"
_STRICT: Final = "`?` is not in base64url, and RFC 7515 §2 has no characters that are ignored"
_SAME: Final = "it is the very text of the valid 357: the suite lost the padding that it means"
DIFFERENCES: Final[dict[tuple[str, int], str]] = {
    (_SIGNATURES, 346): _OTHER,
    (_SIGNATURES, 347): _NAME,
    (_SIGNATURES, 350): _OTHER,
    (_SIGNATURES, 351): _NAME,
    (_SIGNATURES, 367): _SAME,
    (_SIGNATURES, 370): _SAME,
    (_SIGNATURES, 372): _STRICT,
    (_SIGNATURES, 373): _STRICT,
    ("json_web_key", 1): (
        "a set with a secret and a public key is taken: each key has one algorithm, so that "
        "neither is used as the other"
    ),
}
"""Where a node differs from the suite, and why."""

OK: Final = 200
UNAUTHORIZED: Final = 401
PARTS: Final = 3
MALFORMED: Final = "the token is malformed"


class Vector(NamedTuple):
    """A token, the keys that it is verified with, and what the suite says."""

    file: str
    number: int
    group: str
    comment: str
    keys: str
    token: str
    is_valid: bool


def vectors(folder: Path) -> Iterator[Vector]:
    """Every vector. Raises ValueError for a file that is not the one that was looked at."""
    for name, digest in FILES.items():
        text = (folder / name).read_bytes()
        if hashlib.sha256(text).hexdigest() != digest:
            raise ValueError(f"{name} is another version than the drill was written for")
        for group in json.loads(text)["testGroups"]:
            key = group.get("public") or group["private"]
            keys = json.dumps(key if "keys" in key else {"keys": [key]})
            for one in group["tests"]:
                token = one["jws"] if isinstance(one["jws"], str) else json.dumps(one["jws"])
                yield Vector(
                    name.removesuffix("_test.json"),
                    one["tcId"],
                    group["comment"],
                    one["comment"],
                    keys,
                    token,
                    one["result"] == "valid",
                )


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a name stands there twice")
    return dict(pairs)


def is_well_formed(token: str) -> bool:
    """Whether it has three parts of strict base64url, the first of which says an algorithm."""
    parts = token.split(".")
    if len(parts) != PARTS:
        return False
    try:
        decoded = [base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in parts]
        header = json.loads(decoded[0], object_pairs_hook=_without_repeats)
    except ValueError:
        return False
    exact = [base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in decoded]
    return exact == parts and isinstance(header, dict) and isinstance(header.get("alg"), str)


CONFIG: Final = """
[node]
admin = "off"
drain = {{ delay = "50ms", idle_grace = "100ms", deadline = "60s" }}

[listeners.web]
address = "127.0.0.1:{port}"
default = true

[routes.all]
respond = {{ body = "for everybody" }}
"""
ROUTE: Final = """
[middlewares.keys-{index}.jwt]
keys = {{ file = "{file}" }}
required = []

[routes.keys-{index}]
match = [{{ path = {{ exact = "/{index}" }} }}]
middlewares = ["keys-{index}"]
respond = {{ body = "in" }}
"""


def config(folder: Path, port: int, sets: dict[str, int]) -> str:
    """A route for each key set, which has a number."""
    text = CONFIG.format(port=port)
    for keys, index in sets.items():
        file = folder / f"{index}.json"
        file.write_text(keys)
        file.chmod(0o600)
        text += ROUTE.format(index=index, file=file)
    return text


def said(port: int, path: str, token: str) -> str:
    """`in`, or why the node refuses a token."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    try:
        link.request("GET", path, headers={"authorization": f"Bearer {token}"})
        answer = link.getresponse()
        lines = answer.read().decode().splitlines()
        if answer.status == OK:
            return lines[0]
        if answer.status == UNAUTHORIZED:
            return lines[1]
        raise RuntimeError(f"{answer.status} for {token!r}: {lines}")
    finally:
        link.close()


def outcome(vector: Vector, reason: str) -> tuple[bool, str]:
    """Whether a token counts as accepted, and the words for the table."""
    if reason == "in":
        return True, "accepted, 200"
    if reason == MALFORMED and is_well_formed(vector.token):
        return True, "accepted, its payload is no JSON object"
    return False, reason


def tried(found: list[Vector]) -> Iterator[tuple[Vector, bool, str]]:
    """Every vector, whether it was accepted, and the words for it."""
    problems = {one.keys: set_problem(one.keys) for one in found}
    usable = [keys for keys, problem in problems.items() if problem is None]
    sets = {keys: index for index, keys in enumerate(usable)}
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="hg-") as place:
        text = config(Path(place), port, sets)
        with RunningNode(Path(place), text, "--no-watch").until_ready():
            for one in found:
                problem = problems[one.keys]
                if problem is not None:
                    yield one, False, f"no config has these keys: {problem.what}"
                    continue
                reason = said(port, f"/{sets[one.keys]}", one.token)
                yield one, *outcome(one, reason)


def downloaded() -> Path:
    """The folder of the module. Raises RuntimeError if Go cannot fetch it."""
    go = shutil.which("go")
    if go is None:
        raise RuntimeError("go is not installed; give --vectors")
    done = subprocess.run(
        [go, "mod", "download", "-json", MODULE], capture_output=True, text=True, check=False
    )
    about = json.loads(done.stdout or "{}")
    if done.returncode or "Dir" not in about:
        raise RuntimeError(f"{MODULE} was not fetched: {about.get('Error', done.stderr)}")
    return Path(about["Dir"]) / "testvectors_v1"


def main() -> int:
    """Sends every token, and returns how the drill ends."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--vectors", type=Path, help="the folder testvectors_v1")
    chosen = parser.parse_args()
    found = list(vectors(chosen.vectors or downloaded()))
    rows: Counter[tuple[str, str, str]] = Counter()
    named, wrong = [], []
    for one, is_accepted, words in tried(found):
        published = "valid" if one.is_valid else "invalid"
        rows[one.file, published, words] += 1
        place = (one.file, one.number)
        reason = DIFFERENCES.get(place)
        if (is_accepted == one.is_valid) == (reason is not None):
            wrong.append(f"{place} {one.group}, {one.comment}: {published}, but {words}")
        elif reason is not None:
            named.append(f"| {one.file} {one.number} | {published} | {words} | {reason} |")
    write = sys.stdout.write
    write("| file | published | the node | tokens |\n|---|---|---|---|\n")
    for (file, published, words), count in sorted(rows.items()):
        write(f"| {file} | {published} | {words} | {count} |\n")
    write("\n| vector | published | the node | why |\n|---|---|---|---|\n")
    write("\n".join(named) + f"\n\n{len(found)} tokens, {len(named)} named differences, ")
    write("\n".join([f"{len(wrong)} others.", *wrong, ""]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
