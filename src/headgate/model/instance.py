"""The names that tell the instances of one agent from each other, here and at the master."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from headgate.features import syntax
from headgate.features.base import Options
from headgate.kernel.errors import Invalid

NAME_ALLOWED: Final = "write 1 to 32 of a-z 0-9 . _ -, not beginning with a dot"
_NAME: Final = re.compile(r"[a-z0-9_-][a-z0-9._-]{0,31}")
_TITLE: Final = re.compile(r"[A-Za-z0-9._-]{1,200}")
_KEY: Final = re.compile(r"[a-z0-9]([a-z0-9._/-]{0,61}[a-z0-9])?")
_VALUE: Final = re.compile(r"[A-Za-z0-9._-]{0,63}")
_MOST_LABELS: Final = 24
"""A master takes 32 of an agent; the join token has some, too."""


def instance_name(text: str) -> str:
    """Returns the name, unchanged; it is that of a folder. Raises `Invalid` if it is not valid."""
    if not _NAME.fullmatch(text):
        raise Invalid(f"{syntax.described(text)} is not a name of an instance", NAME_ALLOWED)
    return text


def _title(text: str) -> str:
    if not _TITLE.fullmatch(text):
        what = f"{syntax.described(text)} is not a name of an agent"
        raise Invalid(what, "write up to 200 of A-Z a-z 0-9 . _ -")
    return text


def _labels(labels: dict[str, str]) -> dict[str, str]:
    for key, value in labels.items():
        if not _KEY.fullmatch(key) or not _VALUE.fullmatch(value):
            what = f"{syntax.described(f'{key}={value}')} is not a label"
            raise Invalid(what, 'write one such as tier = "canary"')
    if len(labels) > _MOST_LABELS:
        raise Invalid(f"{len(labels)} labels are too many", f"write at most {_MOST_LABELS}")
    return labels


class Identity(Options):
    """The details that a master gets of an instance when it enrols."""

    name: Annotated[str, AfterValidator(_title)] | None = Field(
        default=None,
        description="The name of the instance at the master from its enrolment on; absent = the "
        "name of the host and that of the instance, `HOST-NAME`.",
    )
    labels: Annotated[dict[str, str], AfterValidator(_labels)] = Field(
        default_factory=dict,
        description="Labels that the instance enrols with, in addition to `host` and `instance`.",
    )
