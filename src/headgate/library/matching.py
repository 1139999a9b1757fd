"""The conditions of a route on a request: its path, method, headers and cookies."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PathMatch:
    """A condition on the normalised path; give exactly one.

    >>> PathMatch(prefix="/v1").to_config()
    {'prefix': '/v1'}
    """

    exact: str | None = None
    """The path is this path."""
    prefix: str | None = None
    """The path begins with these whole segments: `/v1` is `/v1` and `/v1/…`."""
    regex: str | None = None
    """The expression matches the whole path (syntax of Rust's `regex`: time linear in the path)."""

    def to_config(self) -> dict[str, object]:
        """Returns the table `path` of a match."""
        return _given(exact=self.exact, prefix=self.prefix, regex=self.regex)


@dataclass(frozen=True, slots=True, init=False)
class MethodMatch:
    """The method is one of these; they are compared as sent, in their case (RFC 9110 §9.1).

    >>> MethodMatch("GET", "HEAD").methods
    ('GET', 'HEAD')
    """

    methods: tuple[str, ...]

    def __init__(self, *methods: str) -> None:
        object.__setattr__(self, "methods", methods)

    def to_config(self) -> list[str]:
        """Returns the list `methods` of a match."""
        return list(self.methods)


@dataclass(frozen=True, slots=True)
class HeaderMatch:
    """A condition on one header, whose name has no case; give exactly one besides the name.

    >>> HeaderMatch("X-Tenant", exact="a").to_config()
    {'exact': 'a'}
    """

    name: str
    exact: str | None = None
    """The value is this text."""
    prefix: str | None = None
    """The value begins with this text."""
    regex: str | None = None
    """The expression matches the whole value."""
    present: bool | None = None
    """True: the request has it, with any value; False: it does not have it."""

    def to_config(self) -> dict[str, object]:
        """Returns the condition; its name is the key in the table `headers` of a match."""
        return _value(self)


@dataclass(frozen=True, slots=True)
class CookieMatch:
    """A condition on one cookie, whose name is case-sensitive; give exactly one besides the name.

    Of several cookies of one name the first one counts, on whichever `Cookie` line it is.

    >>> CookieMatch("channel", prefix="beta").to_config()
    {'prefix': 'beta'}
    """

    name: str
    exact: str | None = None
    """The value, without double quotes around it, is this text."""
    prefix: str | None = None
    """The value begins with this text."""
    regex: str | None = None
    """The expression matches the whole value."""
    present: bool | None = None
    """True: the request has it, with any value; False: it does not have it."""

    def to_config(self) -> dict[str, object]:
        """Returns the condition; its name is the key in the table `cookies` of a match."""
        return _value(self)


def _value(one: HeaderMatch | CookieMatch) -> dict[str, object]:
    is_there, is_away = one.present is True, one.present is False
    return _given(
        exact=one.exact,
        prefix=one.prefix,
        regex=one.regex,
        present=is_there or None,
        absent=is_away or None,
    )


def _given(**values: object) -> dict[str, object]:
    return {key: value for key, value in values.items() if value is not None}
