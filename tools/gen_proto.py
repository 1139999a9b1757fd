"""Generates the Python messages of proto/headgate/v1/; `--check` only compares.

Clients and servers name the services' paths themselves, so it makes only messages.
"""

import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTO_ROOT = ROOT / "proto"
PACKAGE = Path("headgate") / "v1"
SOURCES = ROOT / "src" / "headgate"
#: Each file and the package that owns its messages.
OWNERS = {
    "plan": SOURCES / "engines" / "native" / "generated",
    "fleet": SOURCES / "fleet" / "generated",
}


def generate(stem: str, folder: Path) -> dict[Path, str]:
    """Returns the generated files by place, made in `folder`; exits if protoc refuses."""
    arguments = [f"-I{PROTO_ROOT}", f"--python_out={folder}", f"--pyi_out={folder}"]
    code = protoc.main(["protoc", *arguments, str(PROTO_ROOT / PACKAGE / f"{stem}.proto")])
    if code:
        sys.exit(code)
    names = (f"{stem}_pb2.py", f"{stem}_pb2.pyi")
    return {OWNERS[stem] / name: (folder / PACKAGE / name).read_text() for name in names}


def main() -> int:
    """Writes the files, or with `--check` says which are out of step (exit code 1)."""
    made: dict[Path, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for stem in OWNERS:
            made |= generate(stem, Path(folder))
    stale = [path for path, text in made.items() if not path.is_file() or path.read_text() != text]
    if "--check" in sys.argv[1:]:
        for path in stale:
            sys.stderr.write(f"{path} is out of step; run tools/gen_proto.py\n")
        return 1 if stale else 0
    for path in stale:
        path.write_text(made[path])
    return 0


if __name__ == "__main__":
    sys.exit(main())
