"""`rewrite`: change the path and the host before forwarding."""

from typing import ClassVar, Final

from pydantic import Field, model_validator

from headgate.features.base import MiddlewareOptions
from headgate.features.expressions import check_replacement
from headgate.features.fields import Regex
from headgate.features.paths import PrefixPath
from headgate.features.templates import HostTemplate, PathTemplate, Replacement
from headgate.kernel.errors import Invalid
from headgate.kernel.nearest import listed
from headgate.plan.middleware import PathRewrite, RegexRewrite
from headgate.plan.middleware import Rewrite as RewriteNode

_PATH_KEYS: Final = ("strip_prefix", "prefix", "path", "regex")


class Rewrite(MiddlewareOptions):
    """Change the path and the host before forwarding."""

    key: ClassVar[str] = "rewrite"
    summary: ClassVar[str] = "Changes path and host before forwarding."

    strip_prefix: PrefixPath | None = Field(
        default=None, description="Removes this prefix (whole segments) where the path has it."
    )
    prefix: PrefixPath | None = Field(
        default=None, description="Takes the place of the prefix that the route matched."
    )
    path: PathTemplate | None = Field(
        default=None, description="The whole new path; may hold variables."
    )
    regex: Regex | None = Field(
        default=None, description="An expression for the whole path; `with` replaces it."
    )
    with_: Replacement | None = Field(
        default=None,
        alias="with",
        description="What `regex` is replaced by; `$1`, `${name}` are groups.",
    )
    host: HostTemplate | None = Field(default=None, description="The new Host; may hold variables.")

    @model_validator(mode="after")
    def _one_path(self) -> "Rewrite":
        given = [key for key in _PATH_KEYS if getattr(self, key) is not None]
        if len(given) > 1:
            raise Invalid(
                f"{listed(given).replace(' or ', ' and ')} exclude each other",
                f"at most one of {listed(_PATH_KEYS)}",
            )
        if (self.regex is None) != (self.with_ is None):
            lone, other = ("with", "regex") if self.regex is None else ("regex", "with")
            raise Invalid(f'"{lone}" is given without "{other}"', "both of them, or neither")
        if self.strip_prefix == "/":
            raise Invalid('stripping "/" strips nothing', "the prefix to remove", at="strip_prefix")
        if self.regex is not None and self.with_ is not None:
            check_replacement(self.regex, self.with_)
        if not given and self.host is None:
            raise Invalid("the rewrite changes nothing", f"one of {listed((*_PATH_KEYS, 'host'))}")
        return self

    def to_plan(self) -> RewriteNode:
        """The rewrite's plan node."""
        return RewriteNode(path=self._path(), host=self.host)

    def _path(self) -> PathRewrite | None:
        if self.regex is not None and self.with_ is not None:
            return PathRewrite(regex=RegexRewrite(self.regex, self.with_))
        if self.strip_prefix is None and self.prefix is None and self.path is None:
            return None
        return PathRewrite(strip_prefix=self.strip_prefix, prefix=self.prefix, path=self.path)
