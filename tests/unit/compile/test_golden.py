"""Golden files: a config → its exact diagnostics, a config → its exact plan.

`HEADGATE_WRITE_GOLDEN=1` writes what comes out now; read the difference before it is committed.
"""

import os
from pathlib import Path, PurePath

import pytest
from memory_files import MemoryFiles

from headgate.compile.lints import lints
from headgate.compile.load import load
from headgate.compile.routing import Routing, shadows
from headgate.kernel.diagnostics import render_text

GOLDEN = Path(__file__).parents[2] / "golden"
EXAMPLES = Path(__file__).parents[3] / "examples"
WRITE = os.environ.get("HEADGATE_WRITE_GOLDEN") == "1"
ENV = {"LISTEN": "127.0.0.1:8000", "SECRET": "hunter2 !", "BACKLOG": "16", "STATUS": "200"}
FILES: dict[str, str | bytes] = {
    "cert.pem": "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
    "key.pem": "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n",
    "encrypted.pem": "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n",
    "huge.pem": b"-----BEGIN CERTIFICATE-----\n" + b"A" * (1 << 20),
    "tls/example.pem": "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
    "tls/example.key": "-----BEGIN EC PRIVATE KEY-----\nAA==\n-----END EC PRIVATE KEY-----\n",
    "tls/ca.pem": "-----BEGIN CERTIFICATE-----\nAB==\n-----END CERTIFICATE-----\n",
}


def cases(folder: str) -> list[Path]:
    """The inputs of a kind."""
    return sorted(p for p in (GOLDEN / folder).iterdir() if p.suffix != ".txt")


def compare(expected: Path, text: str) -> None:
    """Holds the text against a golden file, or writes it."""
    if WRITE:
        expected.write_text(text, encoding="utf-8")
    assert text == expected.read_text(encoding="utf-8")


@pytest.mark.parametrize("case", cases("diagnostics"), ids=lambda path: path.name)
def test_diagnostics(case: Path) -> None:
    files = MemoryFiles({**FILES, case.name: case.read_bytes()})
    loaded = load([PurePath(case.name)], files, ENV)
    text = render_text((*loaded.diagnostics, *lints(loaded, shadows)))
    assert text, "a case of diagnostics has some"
    assert "hunter2" not in text
    compare(case.with_name(case.name + ".txt"), text)


PLANS = [*cases("plans"), EXAMPLES / "quickstart.toml", EXAMPLES / "reference.toml"]


@pytest.mark.parametrize("case", PLANS, ids=lambda path: path.name)
def test_plans(case: Path) -> None:
    files = MemoryFiles({**FILES, case.name: case.read_bytes()})
    loaded = load([PurePath(case.name)], files, ENV)
    assert not loaded.diagnostics
    assert loaded.plan is not None
    entries = sorted(loaded.plan.objects.values(), key=lambda e: e.key)
    lines = [f"{e.key.kind} {e.key.name} {e.canonical.decode()}\n" for e in entries]
    text = "".join(lines) + f"root {loaded.plan.digest.hex()}\n"
    compare(GOLDEN / "plans" / f"{case.name}.txt", text)
    assert loaded.plan.blobs() == loaded.blobs.keys()
    Routing(loaded.plan)  # the core takes it
