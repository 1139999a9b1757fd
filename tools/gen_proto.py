"""Generates the Python messages of proto/headgate/v1/plan.proto; `--check` only compares.

The client calls the services by path (`headgate.engines.native.client`), so it makes only messages.
"""

import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTO_ROOT = ROOT / "proto"
PACKAGE = Path("headgate") / "v1"
OUT = ROOT / "src" / "headgate" / "engines" / "native" / "generated"
NAMES = ("plan_pb2.py", "plan_pb2.pyi")


def generate(folder: Path) -> dict[str, str]:
    """Returns the generated files by name, made in `folder`; exits if protoc refuses."""
    arguments = [f"-I{PROTO_ROOT}", f"--python_out={folder}", f"--pyi_out={folder}"]
    code = protoc.main(["protoc", *arguments, str(PROTO_ROOT / PACKAGE / "plan.proto")])
    if code:
        sys.exit(code)
    return {name: (folder / PACKAGE / name).read_text() for name in NAMES}


def main() -> int:
    """Writes the files, or with `--check` says which are out of step (exit code 1)."""
    with tempfile.TemporaryDirectory() as folder:
        made = generate(Path(folder))
    stale = [
        name
        for name, text in made.items()
        if not (OUT / name).is_file() or (OUT / name).read_text() != text
    ]
    if "--check" in sys.argv[1:]:
        for name in stale:
            sys.stderr.write(f"{OUT / name} is out of step; run tools/gen_proto.py\n")
        return 1 if stale else 0
    for name in stale:
        (OUT / name).write_text(made[name])
    return 0


if __name__ == "__main__":
    sys.exit(main())
