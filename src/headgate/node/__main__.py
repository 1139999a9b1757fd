"""Runs the control process. `headgate run` or `headgate control` makes its one argument.

`--check` before it starts nothing: it says which version would run with that argument.
"""

import sys

from headgate.kernel import collector, imports


def main() -> int:
    """Runs the control process; returns the exit code."""
    collector.relax()
    with imports.program():
        from headgate.node import start

    if sys.argv[1:2] == ["--check"]:
        return start.check(sys.argv[2:])
    return start.main()


if __name__ == "__main__":
    sys.exit(main())
