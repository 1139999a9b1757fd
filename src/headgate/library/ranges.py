"""Checks the numbers that a program gives."""


def within(name: str, value: float, least: float, most: float) -> None:
    """Raises `ValueError` for a value outside its range."""
    if not least <= value <= most:
        raise ValueError(f"{name} is {value}; write {least} to {most}")
