"""Defines a check."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from headgate.engines.nginx.lint.config import Config
from headgate.engines.nginx.lint.finding import Level
from headgate.nginxtext.includes import Located

Found = tuple[Located, str]
"""The place where something is wrong, and what is wrong and why."""


class Check(NamedTuple):
    """A check: the id of its findings, how bad they are and what to do about them."""

    id: str
    level: Level
    advice: str
    find: Callable[[Config], Iterator[Found]]
