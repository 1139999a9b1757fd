"""The `headgate` command."""

import sys

from headgate.cli.output import FAILED
from headgate.cli.program import program
from headgate.cli.told import ToldError
from headgate.kernel import collector


def main() -> None:
    """Runs the command line. Exit codes: 0 success, 1 failure, 2 usage error, 78 bad config; 3 to 6
    are the ends of a rollout that was waited for."""
    collector.relax()  # before commands import what they need
    try:
        program(sys.argv[1:])()
    except ToldError as error:
        sys.stderr.write(f"headgate: {error}\n")
        sys.exit(FAILED)
    except BrokenPipeError:
        sys.exit(FAILED)
