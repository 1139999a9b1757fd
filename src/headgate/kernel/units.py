"""Parses durations and sizes as the config writes them: `"250ms"`, `"64KiB"`.

A parsed value keeps its unit in its type; the plan carries whole milliseconds, whole microseconds
where a name says so, and bytes.
"""

import math
import re
from dataclasses import dataclass
from typing import Final

from headgate.kernel.errors import Invalid

DURATION_ALLOWED: Final = 'write a number and a unit: "250ms", "30s", "5m", "1h"'
FINE_ALLOWED: Final = 'write a number and a unit: "500us", "2.5ms", "10s", "1m"'
SIZE_ALLOWED: Final = 'write a number and a unit: "512B", "64KiB", "10MiB", "1GB"'
OFF_ALLOWED: Final = ', or "off"'

_NUMBER = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s?([A-Za-z]+)")
_MOST_DIGITS = 1000
_DURATIONS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_FINE: Final = {"us": 1, "ms": 1_000, "s": 1_000_000, "m": 60_000_000}
_SIZES: Final = {
    "B": 1,
    "kB": 1_000,
    "KB": 1_000,
    "MB": 1_000_000,
    "GB": 1_000_000_000,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
}
_MAX_S: Final = 366 * 86_400
_MAX_BYTES: Final = 1 << 50


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """A length of time in whole milliseconds; 0 means off where a key may be switched off."""

    ms: int

    @classmethod
    def parse(cls, text: str) -> "Duration":
        """Returns the duration `text` says; raises `Invalid`
        for anything but a number and a unit.

        >>> Duration.parse("1.5s").ms
        1500
        """
        return cls(_whole(text, _DURATIONS, DURATION_ALLOWED, "milliseconds"))

    def __str__(self) -> str:
        return _written(self.ms, (("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)))


@dataclass(frozen=True, slots=True, order=True)
class FineDuration:
    """A length of time in whole microseconds, for what is measured and not waited for."""

    us: int

    @classmethod
    def parse(cls, text: str) -> "FineDuration":
        """Returns the duration `text` says; raises `Invalid`
        for anything but a number and a unit.

        >>> FineDuration.parse("2.5ms").us
        2500
        """
        return cls(_whole(text, _FINE, FINE_ALLOWED, "microseconds"))

    def __str__(self) -> str:
        return _written(self.us, (("m", 60_000_000), ("s", 1_000_000), ("ms", 1_000), ("us", 1)))


@dataclass(frozen=True, slots=True, order=True)
class ByteSize:
    """A size in bytes; 0 means off where a key may be switched off."""

    bytes: int

    @classmethod
    def parse(cls, text: str) -> "ByteSize":
        """Returns the size `text` says; raises `Invalid` for anything but a number and a unit.

        >>> ByteSize.parse("64KiB").bytes
        65536
        """
        amount = _scaled(text, _SIZES)
        if amount is None:
            raise Invalid(f'"{text}" is not a size', SIZE_ALLOWED)
        if amount > _MAX_BYTES or amount != int(amount):
            raise Invalid(f'"{text}" is out of range', "write whole bytes, at most 1 PiB")
        return cls(int(amount))

    def __str__(self) -> str:
        units = (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1))
        return _written(self.bytes, units)


def _whole(text: str, units: dict[str, int], allowed: str, least: str) -> int:
    """Returns a duration in the least of its units, at most 366 days."""
    amount = _scaled(text, units)
    if amount is None:
        raise Invalid(f'"{text}" is not a duration', allowed)
    if amount > _MAX_S * units["s"] or amount != int(amount):
        raise Invalid(f'"{text}" is out of range', f"write whole {least}, at most 366 days")
    return int(amount)


def _scaled(text: str, units: dict[str, int]) -> float | int | None:
    found = _NUMBER.fullmatch(text.strip())
    factor = units.get(found[2]) if found else None
    if found is None or factor is None:
        return None
    number = found[1]
    if len(number) > _MOST_DIGITS:  # `int` takes 4,300
        return math.inf
    if "." not in number:
        return int(number) * factor
    return round(float(number) * factor, 6)


def _written(amount: int, units: tuple[tuple[str, int], ...]) -> str:
    if amount == 0:
        return "off"
    unit, factor = next((u, f) for u, f in units if amount % f == 0)
    return f"{amount // factor}{unit}"
