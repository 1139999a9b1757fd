"""The options of commands that begin a rollout or wait for one."""

import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from headgate.cli.output import printable_text

if TYPE_CHECKING:
    from headgate.cli.remote.waiting import End, Patience

Waves = Annotated[
    str,
    typer.Option(metavar="WAVES", help="The waves: counts, shares, label:NAME=VALUE, zone:NAME."),
]
Soak = Annotated[float, typer.Option(metavar="SECONDS", min=0, help="The soak time of each wave.")]
MinRequests = Annotated[
    int,
    typer.Option(
        metavar="N",
        min=0,
        help="The fewest requests that decide a gate; 0 also lets a fleet without traffic pass.",
    ),
]
Gates = Annotated[
    list[str] | None,
    typer.Option(
        "--gate",
        metavar="NAME=NUMBER",
        help="A limit of the gates, such as traffic_of_control=0.2; may be repeated.",
    ),
]
Quarantine = Annotated[
    Literal["refuse", "accept"],
    typer.Option(help="What to do if an agent quarantines objects of the revision."),
]
Wait = Annotated[bool, typer.Option("--wait", help="Follow the rollout to its end.")]
Timeout = Annotated[
    float,
    typer.Option(
        metavar="SECONDS", min=0, help="The longest time to wait; 0 = no limit.", show_default=True
    ),
]
HoldTimeout = Annotated[
    float,
    typer.Option(
        metavar="SECONDS", min=0, help="The longest time to wait for a person to end a hold."
    ),
]
DEFAULT_WAVES = "1,10%,50%,rest"
DEFAULT_SOAK_S = 300.0
DEFAULT_MIN_REQUESTS = 50
DEFAULT_TIMEOUT_S = 3600.0
DEFAULT_HOLD_S = 30.0


def limits(texts: list[str] | None) -> dict[str, float]:
    """Returns limits of gates as the API takes them; one that is none is a usage error."""
    found = {}
    for text in texts or []:
        name, _, number = text.partition("=")
        try:
            found[name] = float(number)
        except ValueError:
            raise typer.BadParameter(
                f'"{text}" is not a limit; write NAME=NUMBER', param_hint="--gate"
            ) from None
    return found


def patience(timeout_s: float, hold_s: float) -> "Patience":
    """Returns how long `--wait` waits."""
    from headgate.cli.remote.waiting import Patience  # noqa: PLC0415 - `--help` stays quick

    return Patience(timeout_s, hold_s)


def leave(end: "End") -> typer.Exit:
    """Says how the waiting ended; raise the result to exit with its code."""
    if end.code:
        sys.stderr.write(printable_text(f"headgate: {end.text}\n"))
    else:
        sys.stdout.write(printable_text(f"{end.text}\n"))
    return typer.Exit(int(end.code))
