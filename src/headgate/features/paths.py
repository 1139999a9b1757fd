"""Defines path prefixes for routes, rewrites and redirects."""

from typing import Annotated

from pydantic import AfterValidator

from headgate.features.fields import RoutedPath


def without_trailing_slash(path: str) -> str:
    """Returns the path; the root is one slash."""
    return path.rstrip("/") or "/"


PrefixPath = Annotated[RoutedPath, AfterValidator(without_trailing_slash)]
"""A prefix of whole segments; a trailing slash means nothing and is dropped."""
