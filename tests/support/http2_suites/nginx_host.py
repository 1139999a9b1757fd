"""What the file h2_host.t of nginx-tests tries: names of hosts, in `:authority` and in Host.

The suite looks at nginx's `$host`, which is in lower case and has no port and no dot at its end.
Here routes are found by the same name, and an endpoint gets the host as it came.
"""

from http2_suites.case import Case, Code, Suite, forwarded, head, pseudo

_FUTURE = "[v0123456789aBcDeF.!$&'()*+,;=-._~AbCdEfGhIjKlMnOpQrStUvWxYz0123456789:]"

_HOSTS: tuple[tuple[str, str, bool], ...] = (
    ("empty", "", False),
    ("one-letter", "l", True),
    ("upper-case", "L", True),
    ("colon-without-port", "abcd-ef.g02.xyz:", True),
    ("ipv4-colon-without-port", "123.40.56.78:", True),
    ("name", "www.abcd-ef.g02.xyz", True),
    ("name-and-port", "abcd-ef.g02.xyz:8080", True),
    ("dot-at-end", "www.abcd-ef.g02.xyz.", True),
    ("dot-at-end-and-port", "abcd-ef.g02.xyz.:88", True),
    ("port-with-dot", "example.com.:1.2", False),
    ("dot-alone", ".", False),
    ("mixed-case", "AbC-d93.0.34ZhGt-s.nk.Ru", True),
    ("mixed-case-and-port", "AbC-d93.0.34ZhGt-s.nk.Ru:88", True),
    ("ipv4", "123.40.56.78", True),
    ("ipv4-and-port", "123.49.0.78:987", True),
    ("ipv4-long-port", "123.49.0.78:98777", False),
    ("ipv4-longer-port", "123.40.56.78:123456", False),
    ("ipv4-two-ports", "123.40.56.78:9000:80", False),
    ("ipv6", "[abcd::ef98:0:7654:321]", True),
    ("ipv6-and-port", "[abcd::ef98:0:7654:321]:5", True),
    ("ipv4-in-ipv6", "[::ffff:12.30.67.89]", True),
    ("ipv4-in-ipv6-and-port", "[::123.45.67.89]:4321", True),
    ("slashes", "example.com/\\:552", False),
    ("backslash-first", "\\e/xample.com", False),
    ("two-dots-first", "..examp-LE.com", False),
    ("two-dots-last", "com.exa-m.45..:", False),
    ("ipv6-slashes", "[abcd::e\\f98:0/:7654:321]", False),
    ("ipv6-slash-at-end", "[abcd\\::ef98:0:7654:321/]:12", False),
    ("ipv6-dot-at-end", "[abcd::ef98:0:7654:321].", False),
    ("ipv6-dot-and-port", "[abcd::ef98:0:7654:321].:98", False),
    ("ipv6-two-dots", "[abcd::ef98:0:7654:321]..:98", False),
    ("ipv6-two-dots-inside", "[ab..cd::ef98:0:7654:321]", False),
    ("ipv6-letters-before", "extra[abcd::ef98:0:7654:321]:98", False),
    ("ipv6-open", "[abcd::ef98:0:7654:321", False),
    ("ipv-future", _FUTURE, False),
    ("control", "localhost\x02", False),
)


_NO_FUTURE = (
    "the suite wants it served; no address has this form yet, and RFC 3986, 3.2.2 wants an error"
    " where its version is not known"
)


def _case(where: str, name: str, host: str, is_taken: bool) -> Case:
    """A request whose host stands in one of the two fields."""
    whole = pseudo(authority=host if where == ":authority" else None)
    if where == "host":
        whole.append(("host", host))
    shown = f"`{host}`".replace("\x02", "\\x02") if host else "empty"
    does = f"`{where}` is {shown}"
    label = f"{where.strip(':')}-{name}"
    sent = (head(whole),)
    if is_taken:
        return Case(label, does, sent, 200, reaches=(forwarded("GET /", host),))
    why = _NO_FUTURE if host == _FUTURE else ""
    return Case(label, does, sent, 400, Code.PROTOCOL_ERROR, differs=why)


_CASES = (
    *(_case(where, *host) for host in _HOSTS for where in (":authority", "host")),
    Case(
        "host-twice",
        "two Host fields",
        (head([*pseudo(authority=None), ("host", "localhost"), ("host", "again")]),),
        400,
        Code.PROTOCOL_ERROR,
    ),
)

SUITES = (Suite("nginx-host", "nginx/nginx-tests, h2_host.t", _CASES),)
