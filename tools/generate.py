"""Writes every generated file of the repository; `--check` only says which are out of step.

A generator is a command that writes its files, and with `--check` writes nothing, names what
differs on stderr and exits with 1. A new one is one line in `GENERATORS`.
"""

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent


class Generator(NamedTuple):
    """A generated part and the command for it, from the repository's root."""

    what: str
    command: tuple[str, ...]


GENERATORS = (
    Generator("Python messages of proto/", (sys.executable, "tools/gen_proto.py")),
    Generator("Rust messages of plan.proto", ("tools/gen_proto_rust.sh",)),
    Generator("JSON Schema and reference", (sys.executable, "tools/reference.py")),
    Generator("The command line", (sys.executable, "tools/cli_reference.py")),
    Generator("The REST API", (sys.executable, "tools/openapi_reference.py")),
    Generator("The agents' protocol", (sys.executable, "tools/proto_reference.py")),
    Generator("Metrics", (sys.executable, "tools/metrics_reference.py")),
    Generator("The dashboard", (sys.executable, "tools/dashboard.py")),
    Generator("What nginx does differently", (sys.executable, "tools/nginx_parity.py")),
)


def main() -> int:
    """Runs every generator; the exit code is 1 if one failed or, with `--check`, differs."""
    flags = [flag for flag in sys.argv[1:] if flag == "--check"]
    failed = []
    for generator in GENERATORS:
        done = subprocess.run([*generator.command, *flags], cwd=ROOT, check=False)
        if done.returncode:
            failed.append(generator.what)
    if failed:
        hint = "run `make generate`" if flags else "see above"
        sys.stderr.write(f"generate: {', '.join(failed)}: {hint}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
