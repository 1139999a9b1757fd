"""Arguments that commands about an nginx share."""

from pathlib import Path
from typing import Annotated

import typer

Configs = Annotated[
    list[Path], typer.Argument(help="Config files or directories.", metavar="CONFIG...")
]
Binary = Annotated[
    str | None,
    typer.Option(
        "--binary",
        metavar="PATH",
        help="The nginx program to render for. [default: the config's]",
    ),
]
