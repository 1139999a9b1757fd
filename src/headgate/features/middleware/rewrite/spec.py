"""`rewrite`: change the path and the host before forwarding."""

from collections.abc import Iterator, Set
from typing import ClassVar, Final

from pydantic import Field

from headgate.features.base import MiddlewareOptions, excluding
from headgate.features.expressions import replacement_faults
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
    summary: ClassVar[str] = "Changes the path and the host before the request is forwarded."
    node = RewriteNode

    strip_prefix: PrefixPath | None = Field(
        default=None, description="Removes this prefix (whole segments) if the path begins with it."
    )
    prefix: PrefixPath | None = Field(
        default=None, description="Replaces the prefix that the route matched."
    )
    path: PathTemplate | None = Field(
        default=None, description="The whole new path; may contain variables."
    )
    regex: Regex | None = Field(
        default=None,
        description="An expression that must match the whole path; `with` replaces it.",
    )
    with_: Replacement | None = Field(
        default=None,
        alias="with",
        description="The replacement for `regex`; `$1` and `${name}` insert its groups.",
    )
    host: HostTemplate | None = Field(
        default=None, description="The new `Host` header; may contain variables."
    )

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Yields errors unless the path changes in one way,
        and an expression fits its replacement.
        """
        given = self.model_fields_set | wrong
        ways = [key for key in _PATH_KEYS if key in given]
        if len(ways) > 1:
            yield excluding(ways, f"write at most one of {listed(_PATH_KEYS)}")
        if ("regex" in given) != ("with_" in given) and self.may_lack(wrong):
            lone, other = ("regex", "with") if "regex" in given else ("with", "regex")
            yield Invalid(f'"{lone}" is given without "{other}"', "write both of them, or neither")
        if self.strip_prefix == "/":
            allowed = 'write the prefix to remove, such as "/v1"'
            yield Invalid('stripping "/" removes nothing', allowed, at=("strip_prefix",))
        if self.regex is not None and self.with_ is not None:
            yield from replacement_faults(self.regex, self.with_)
        if not given:
            allowed = f"write at least one of {listed((*_PATH_KEYS, 'host'))}"
            yield Invalid("the rewrite changes nothing", allowed)

    def to_plan(self) -> RewriteNode:
        """Returns the rewrite's plan node."""
        return RewriteNode(path=self._path(), host=self.host)

    def _path(self) -> PathRewrite | None:
        if self.regex is not None and self.with_ is not None:
            return PathRewrite(regex=RegexRewrite(self.regex, self.with_))
        if self.strip_prefix is None and self.prefix is None and self.path is None:
            return None
        return PathRewrite(strip_prefix=self.strip_prefix, prefix=self.prefix, path=self.path)
