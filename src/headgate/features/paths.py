"""Defines path prefixes for routes, rewrites and redirects."""

from typing import Annotated

from pydantic import AfterValidator

from headgate.features.fields import RoutedPath


def _without_trailing_slash(path: str) -> str:
    return path.rstrip("/") or "/"


PrefixPath = Annotated[RoutedPath, AfterValidator(_without_trailing_slash)]
"""A prefix of whole segments; a trailing slash means nothing and is dropped."""
